import { systemClock } from "@isthmus/shared/clock";
import { portCheck } from "@isthmus/shared/kernel/port-check";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { MAX_CLOCK_OFFSET_MS } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { readAuthorityCertificates, readAuthorityFolder } from "../ca/authority-folder.ts";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import { CLOCK_TOLERANCE_MS } from "../core/ledger.ts";
import { authorityRevocationsResult } from "./authority-revocations.ts";
import { databaseChecks } from "./database.ts";
import { directoryChecks, directoryHealth } from "./directories.ts";
import { expiriesResult, expiryResult } from "./expiry-checks.ts";
import { explainedChecks } from "./explained-checks.ts";
import { hsmCheck, offlineHsmResult } from "./hsm.ts";
import { notificationsResult } from "./notifications.ts";
import { profilesCheck } from "./profiles-check.ts";
import { authorityChecks, authorityHealth } from "./remote-authorities.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";
import { tenantChecks } from "./tenants.ts";
import {
  authorityExpiries,
  foreignExpiries,
  ownExpiries,
  registrationExpiry,
} from "./watched-expiries.ts";

/** Ends with a check of their own; the revocation list's check looks at its age, too. */
const OWN_EXPIRIES = ["root-ca", "issuing-ca", "scep-ra", "ocsp-responder"];
const unwatched: CheckResult = { status: "healthy", reason: "there is none here" };

/** What a running connector watches about itself. */
export function healthChecks(
  kernel: CertificateKernel,
  connector: CertificateConnector,
): readonly HealthCheck[] {
  const { clock } = kernel;
  const { publisher, configuration } = connector;
  return explainedChecks([
    ...OWN_EXPIRIES.map((name) => ({
      name,
      run: () => {
        const expiry = ownExpiries(connector).find(({ what }) => what === name);
        return expiry === undefined ? unwatched : expiryResult(expiry, clock.now());
      },
    })),
    {
      name: "credentials",
      run: () => expiriesResult(foreignExpiries(kernel, connector.authorities.all), clock.now()),
    },
    {
      name: "revocation-list",
      run: () => listResult(publisher.current, configuration.crl.periodHours, clock.now()),
    },
    ...hsmCheck(connector),
    { name: "clock-offset", run: () => clockResult(kernel.link.state().clockOffsetMs) },
    { name: "ledger-clock", run: () => ledgerClockResult(kernel) },
    { name: "notifications", run: () => notificationsResult(kernel) },
    ...authorityHealth(connector.remote),
    { name: "authority-revocations", run: () => authorityRevocationsResult(kernel) },
    ...directoryHealth(connector.directories, clock),
    { name: "profiles", run: () => profilesResult(connector) },
  ]);
}

/** What `check` can tell without the service: whether the authority's files are readable and valid, and the port free. */
export function offlineChecks(
  local: LocalConfiguration & { readonly stateFolder: string },
): readonly HealthCheck[] {
  const expiryOf = (name: string): CheckResult => {
    const { root, issuing, ra } = readAuthorityCertificates(local.ca.folder);
    const own = [...authorityExpiries({ root, issuing }), registrationExpiry(ra.notAfter)];
    const expiry = own.find(({ what }) => what === name);
    return expiry === undefined ? unwatched : expiryResult(expiry, Date.now());
  };
  return explainedChecks([
    ...["root-ca", "issuing-ca", "scep-ra"].map((name) => ({ name, run: () => expiryOf(name) })),
    local.ca.hsm === undefined
      ? { name: "ca-keys", run: () => keysResult(local) }
      : { name: "hsm", run: () => offlineHsmResult(local) },
    ...databaseChecks(local),
    ...tenantChecks(local),
    ...authorityChecks(local.authorities, {
      clock: systemClock,
      random: systemRandom,
      stateFolder: local.stateFolder,
    }),
    ...directoryChecks(local.directories),
    ...profilesCheck(local),
    portCheck(local),
  ]);
}

/** Whether the keys in files open, and are those of the certificates. Those in a token have a check of their own. */
function keysResult({ ca }: LocalConfiguration): CheckResult {
  readAuthorityCertificates(ca.folder);
  readAuthorityFolder(ca.folder, readSecretFile(ca.passphraseFile));
  return { status: "healthy", reason: "the passphrase opens the keys in ca.folder" };
}

function listResult(
  list: CertificateConnector["publisher"]["current"],
  periodHours: number,
  now: number,
): CheckResult {
  if (list === undefined || list.nextUpdate <= now) {
    return {
      status: "unhealthy",
      reason:
        list === undefined ? "there is no revocation list" : "the revocation list has expired",
      remedy: "see the log for why none can be signed: most often the clock or a full disk",
    };
  }
  const ageHours = (now - list.thisUpdate) / 3_600_000;
  if (ageHours > periodHours + 1) {
    return {
      status: "warning",
      reason: `list ${list.number} is ${Math.floor(ageHours)} hours old, due every ${periodHours}`,
      remedy: "see the log for why the next one cannot be signed",
    };
  }
  const until = new Date(list.nextUpdate).toISOString();
  return { status: "healthy", reason: `list ${list.number} is in force until ${until}` };
}

function clockResult(offsetMs: number | undefined): CheckResult {
  if (offsetMs === undefined)
    return { status: "healthy", reason: "no control plane to compare with" };
  const seconds = Math.round(Math.abs(offsetMs) / 1_000);
  if (Math.abs(offsetMs) <= MAX_CLOCK_OFFSET_MS) {
    return { status: "healthy", reason: `${seconds} s from the control plane's clock` };
  }
  return {
    status: "unhealthy",
    reason: `${seconds} s from the control plane's clock: nothing is signed`,
    remedy: "synchronise this machine's clock (NTP)",
  };
}

async function ledgerClockResult({ store, clock }: CertificateKernel): Promise<CheckResult> {
  const [mark] = await store.query<{ value: number }>(
    "SELECT value FROM ledger_mark WHERE name = 'last-issuance-at'",
    [],
    1,
  );
  const behindMs = (mark?.value ?? 0) - clock.now();
  if (behindMs <= CLOCK_TOLERANCE_MS)
    return { status: "healthy", reason: "the clock is past the last issuance" };
  return {
    status: "unhealthy",
    reason: `the clock is ${Math.ceil(behindMs / 1_000)} s behind the last issuance: nothing is signed`,
    remedy: "set the clock right; if it was ahead before, wait until that time has come",
  };
}

function counted(profiles: number): string {
  return profiles === 1 ? "1 profile" : `${profiles} profiles`;
}

function profilesResult({ configuration }: CertificateConnector): CheckResult {
  const { profiles } = configuration;
  if (profiles.length === 0) {
    return {
      status: "warning",
      reason: "no certificate profile is configured: every request is refused",
      remedy: "define one in the desired configuration",
    };
  }
  const open = profiles.filter(({ challenge }) => challenge.kind === "static");
  if (open.length === 0) return { status: "healthy", reason: counted(profiles.length) };
  return {
    status: "warning",
    reason: `${open.map(({ id }) => id).join(", ")}: one static challenge for all devices`,
    remedy: "use signed challenges; a static one is for closed networks",
  };
}
