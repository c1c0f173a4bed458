import type { TLSSocket } from "node:tls";
import { type ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { DEFAULT_INVENTORY_CLASSES } from "@isthmus/shared/link/desired-sites";
import { MAX_CLOCK_OFFSET_MS } from "@isthmus/shared/link/messages";
import type { SiteConfiguration } from "../config/site.ts";
import { deviceTables } from "../core/device-tables.ts";
import { OTHER_KINDS } from "../core/list-tables.ts";
import type { ClassName } from "../core/site-table.ts";
import { DEVICE, readRow, WORKSTATION_STATUS } from "../protocol/admin-service/rows.ts";
import type { AdminServiceClient, Asking, Page } from "../site/admin-service-client.ts";
import { chainOf, chainWords, pinOf } from "../site/certificate-pin.ts";
import { Deadline } from "../site/deadline.ts";
import { DEPLOYMENT_SUMMARY } from "../site/deployment-summaries.ts";
import { connectToSite, shownChain } from "../site/site-connection.ts";
import { isUnanswered } from "../site/unanswered.ts";
import { openSite, type SiteParts, siteSettings } from "./site.ts";
import { failedSiteCheck, IDENTITY_REMEDIES, rightsRemedies } from "./site-remedies.ts";

/** Own limits: a check has 10 s in all. */
const CHECK_MS = 9_000;
const CERTIFICATE_WARNING_MS = 14 * 86_400_000;

interface ReadClass {
  readonly of: ClassName;
  /** Where a release lacks one of the others, devices are read without what it tells. */
  readonly isRequired: boolean;
}

/** Every class the bridge reads unless asked for others, each of which may be beyond the account's rights. */
const READ_CLASSES: readonly ReadClass[] = [
  ...[
    deviceTables({
      inventoryClasses: DEFAULT_INVENTORY_CLASSES,
      isUpdateComplianceRead: true,
      areApplicationStatesRead: true,
      areBoundaryGroupsRead: true,
    }),
    ...OTHER_KINDS,
  ].flatMap(({ spine, others }) => [spine, ...others]),
  { of: WORKSTATION_STATUS, isRequired: false },
  { of: DEPLOYMENT_SUMMARY, isRequired: false },
].filter(({ of }, index, all) => all.findIndex((each) => each.of.name === of.name) === index);

type Act = (client: AdminServiceClient, asking: Asking) => Promise<CheckResult>;

/** What `check` tests of the site, each on connections of its own and without the service. */
export function siteChecks(
  configuration: SiteConfiguration,
  parts: SiteParts,
): readonly HealthCheck[] {
  const once = { ...configuration, limits: { ...configuration.limits, retries: 0 } };
  const asking = async (act: Act) => {
    using client = openSite(once, parts);
    using deadline = new Deadline(CHECK_MS);
    return await act(client, { lane: "command", signal: deadline.signal });
  };
  let identity: Promise<CheckResult> | undefined;
  const askIdentity = () => {
    identity ??= asking((client, how) => checkIdentity(client, once, how));
    return identity;
  };
  const behindIdentity = (act: Act) => async () => {
    const isKnown = await askIdentity().then(
      () => true,
      () => false,
    );
    return isKnown ? await asking(act) : notLookedAt;
  };
  const checks: readonly HealthCheck[] = [
    { name: "site-tls", run: () => checkTls(once, parts) },
    { name: "site-authentication", run: askIdentity },
    { name: "site-clock", run: behindIdentity((client, how) => checkClock(client, parts, how)) },
    ...READ_CLASSES.map((each) => ({
      name: `site-rights-${each.of.name.toLowerCase().replaceAll("_", "-")}`,
      run: behindIdentity((client, how) => checkRights(client, each, how)),
    })),
  ];
  return checks.map(({ name, run }) => ({
    name,
    run: async () => {
      try {
        return await run();
      } catch (error) {
        return failedSiteCheck(error, name === "site-authentication" ? IDENTITY_REMEDIES : {});
      }
    },
  }));
}

const notLookedAt: CheckResult = {
  status: "unknown",
  reason: "not looked at: see site-authentication",
};

/** Reach, chain, pin and validity, before any credential is sent. */
async function checkTls(configuration: SiteConfiguration, parts: SiteParts): Promise<CheckResult> {
  const settings = siteSettings(configuration, parts);
  const { host } = new URL(settings.url);
  const signal = AbortSignal.timeout(CHECK_MS);
  let socket: TLSSocket;
  try {
    socket = await connectToSite(settings, parts.clock, signal);
  } catch (error) {
    if (codeOf(error) !== "site-certificate") throw error;
    const { status, reason, remedy } = failedSiteCheck(error);
    return {
      status,
      reason: `${reason}. It shows ${chainWords(await shownChain(settings, signal))}: compare the keys with the provider's own`,
      ...(remedy && { remedy }),
    };
  }
  try {
    const chain = chainOf(socket);
    const [leaf] = chain;
    const ends = Math.min(...chain.map(({ validToDate }) => validToDate.getTime()));
    const pins = chain.map((each) => pinOf(each)).join(", ");
    const reason = `${host} shows a certificate for ${leaf?.subjectAltName ?? leaf?.subject}; keys of its chain: ${pins}`;
    if (ends - parts.clock.now() > CERTIFICATE_WARNING_MS) return { status: "healthy", reason };
    return {
      status: "warning",
      reason: `${reason}; a certificate of the chain ends in less than 14 days`,
      remedy: "renew the provider's certificate, and correct site.caFile or site.pin with it",
    };
  } finally {
    socket.destroy();
  }
}

/** Who answers: the site that is configured, and for the account that is. */
export async function checkIdentity(
  client: AdminServiceClient,
  { siteCode, url }: Pick<SiteConfiguration, "siteCode" | "url">,
  asking: Asking,
): Promise<CheckResult> {
  const { host } = new URL(url);
  const [row] = (await firstDevices(client, asking)).rows;
  if (row === undefined) {
    return {
      status: "warning",
      reason: `${host} accepts our credentials and shows no device`,
      remedy: "see that the account's security scopes and collections have devices in them",
    };
  }
  const { SiteCode: found } = readRow(DEVICE, row).known;
  if (found === undefined || found === null || found === siteCode) {
    return { status: "healthy", reason: `${host} is site ${siteCode} and accepts our credentials` };
  }
  return {
    status: "warning",
    reason: `a device at ${host} belongs to site ${found}, site.siteCode is ${siteCode}`,
    remedy: "correct site.url or site.siteCode, unless this is a hierarchy with several sites",
  };
}

async function checkClock(
  client: AdminServiceClient,
  { clock }: SiteParts,
  asking: Asking,
): Promise<CheckResult> {
  const { servedAt } = await firstDevices(client, asking);
  if (servedAt === undefined) {
    return {
      status: "unknown",
      reason: "the site's answer has no date",
      remedy: "look at a proxy in between that removes it",
    };
  }
  const offsetMs = servedAt - clock.now();
  const seconds = Math.round(Math.abs(offsetMs) / 1_000);
  if (Math.abs(offsetMs) <= MAX_CLOCK_OFFSET_MS) {
    return { status: "healthy", reason: `the site's clock and ours are ${seconds} s apart` };
  }
  return {
    status: "unhealthy",
    reason: `the site's clock is ${seconds} s ${offsetMs > 0 ? "ahead of" : "behind"} ours, more than 5 minutes: tokens and tickets will be refused`,
    remedy: "synchronise this host's clock and the provider's (NTP)",
  };
}

async function checkRights(
  client: AdminServiceClient,
  { of, isRequired }: ReadClass,
  asking: Asking,
): Promise<CheckResult> {
  let rows: Page["rows"];
  try {
    ({ rows } = await client.rows(of, { top: 1 }, asking));
  } catch (error) {
    if (isUnanswered(error) && !isRequired) return silent(of, error);
    const failed = failedSiteCheck(error, rightsRemedies(of.name));
    const isOnlyLacking = !isRequired && codeOf(error) === "site-not-found";
    return isOnlyLacking ? { ...failed, status: "warning" } : failed;
  }
  if (rows.length > 0) return { status: "healthy", reason: `${of.name} may be read` };
  if (!isRequired) return { status: "healthy", reason: `${of.name} may be read and has no rows` };
  return {
    status: "warning",
    reason: `${of.name} may be read and has no rows for this account`,
    remedy:
      "nothing if the site has none; else give the account's role the right to read it, and its scopes the objects",
  };
}

/** The site itself has answered by then. */
function silent({ name }: ClassName, { code, message }: ConnectorError): CheckResult {
  const how =
    code === "site-timeout"
      ? "did not answer in time"
      : code === "site-interrupted"
        ? `ended the connection before its whole answer (${message})`
        : `does not answer behind the site's front (${message})`;
  return {
    status: "warning",
    reason: `${name} ${how}, and the site does`,
    remedy: `look at ${name} at the site (Resource Explorer, SMSProv.log); as long as it is so it is left out, or the scan is not complete without it`,
  };
}

function firstDevices(client: AdminServiceClient, asking: Asking): Promise<Page> {
  return client.rows(DEVICE, { select: ["MachineId", "SiteCode"], top: 1 }, asking);
}
