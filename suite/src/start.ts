import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { DEMO } from "./configurations.ts";
import { hasValidDevice } from "./demo-device.ts";
import { type Layout, layoutOf } from "./layout.ts";
import type { StartOptions } from "./options.ts";
import type { Output } from "./output.ts";
import { requireFreePorts, withDefaultPorts } from "./ports.ts";
import { DEMO_SITE } from "./process/configuration-manager.ts";
import { requireSingleSuite } from "./process/running-suite.ts";
import { enrolDemoDevice, setUp } from "./set-up.ts";
import { Suite } from "./suite.ts";
import {
  readSuiteRecord,
  requireSamePorts,
  requireWholeFolder,
  type SuiteRecord,
} from "./suite-record.ts";

/** Runs the suite until `signal` aborts. Throws when it cannot start, or `service-failed` when a service ends by itself. */
export async function start(
  options: StartOptions,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const began = performance.now();
  const layout = layoutOf(options.stateFolder);
  const record = readSuiteRecord(layout);
  if (record?.isSetUp) {
    requireSamePorts(record, options.ports);
    requireWholeFolder(layout);
  }
  const ports = record?.isSetUp ? record.ports : withDefaultPorts(options.ports);
  requireSingleSuite(layout);
  await requireFreePorts(ports);
  await using suite = new Suite({ layout, ports, onLine: output.serviceLine });
  const doing = record?.isSetUp ? "Starting the suite of" : "Setting up a new suite in";
  output.say("starting", `${doing} ${here(layout.root)}`, { stateFolder: layout.root });
  try {
    await bringUp(suite, record, output);
  } catch (error) {
    // Ctrl-C reaches the services, too, so that whatever was being done with them fails.
    if (!signal.aborted) throw error;
    output.say("stopped", "\nStopped before it was ready; the next start goes on or begins again.");
    return;
  }
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  output.say("ready", welcome(suite, seconds), { seconds: Number(seconds), ports });
  await untilStopped(suite, signal);
  output.say("stopping", "\nStopping.");
}

async function bringUp(
  suite: Suite,
  record: SuiteRecord | undefined,
  output: Output,
): Promise<void> {
  await suite.openSite();
  if (record?.isSetUp) {
    // A folder of an earlier version has no such site, and its bridge knows of none.
    const { tokenFile } = suite.layout.configurationManager;
    if (existsSync(tokenFile)) await suite.openConfigurationManager();
    await suite.launchAll();
  }
  const { issuerKeyId } = record?.isSetUp ? record : await setUp(suite);
  const { layout, ports } = suite;
  if (await hasValidDevice({ layout, ports, issuerKeyId })) return;
  if (existsSync(passwordFileOf(layout))) return void (await enrolDemoDevice(suite));
  // Only an administrator may ask for a challenge.
  const why = `${DEMO.deviceId} has no valid certificate, and without ${here(passwordFileOf(layout))} it cannot enrol again.`;
  output.say("device-not-enrolled", why);
}

async function untilStopped(suite: Suite, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const stopped = new Promise<undefined>((resolve) =>
    signal.addEventListener("abort", () => resolve(undefined), { once: true }),
  );
  const ended = await Promise.race([stopped, suite.untilOneEnds()]);
  if (ended === undefined || signal.aborted) return;
  throw ended.failure("ended by itself");
}

/** As short as a person would type it: relative where it is below the current folder. */
function here(path: string): string {
  const below = relative(process.cwd(), path);
  return below.startsWith("..") ? path : below || ".";
}

function passwordFileOf(layout: Layout): string {
  return join(layout.of("control-plane").stateFolder, "initial-admin-password");
}

/** What to try, in commands that work as they are; a password that is in no file any more is left for the reader to type. */
export function welcome(
  { layout, ports }: Pick<Suite, "layout" | "ports">,
  seconds: string,
): string {
  const { device } = layout;
  const state = layout.of("control-plane").stateFolder;
  const file = here(passwordFileOf(layout));
  const isInFile = existsSync(passwordFileOf(layout));
  const account = isInFile ? `account admin, password in ${file}` : "account admin";
  const password = isInFile ? `'$(cat ${file})'` : "PASSWORD-OF-ADMIN";
  const controlPlane = `https://localhost:${ports.controlPlane}`;
  const json = "-H 'content-type: application/json'";
  const api = `curl -s --cacert ${here(join(state, "ca.pem"))} ${json}`;
  const graph = `${controlPlane}/beta/deviceManagement`;
  const devices = `${graph}/managedDevices`;
  const operations = `${graph}/configurationManagerSites/${DEMO_SITE.siteCode}/clientOperations`;
  const proxy = [
    `curl --proxy https://localhost:${ports.tunnel} --proxy-cacert ${here(device.gatewayAuthority)}`,
    `--proxy-cert ${here(device.certificate)} --proxy-key ${here(device.key)} --proxytunnel`,
  ].join(" \\\n      ");
  return `
Isthmus is ready after ${seconds} s.

  control plane      ${controlPlane}   ${account}
  SCEP, CRL, OCSP    http://127.0.0.1:${ports.scep}/scep/${DEMO.profileId}
  tunnel gateway     https://localhost:${ports.tunnel}   CONNECT with a device's certificate
  internal web site  http://${DEMO.openHost}:${ports.site}   only through the tunnel
  ConfigMgr site     https://localhost:${ports.configurationManager}   simulated: ${DEMO_SITE.siteCode} with ${DEMO_SITE.devices} devices, read by the bridge
  state and logs     ${here(layout.root)}, ${here(layout.logs)}

In a browser (it warns of the suite's own authority): ${controlPlane}/devices
  the demonstration device: ${controlPlane}/devices/${DEMO.deviceId}
  the ConfigMgr site, its scripts and CMPivot: ${controlPlane}/sources/${DEMO_SITE.siteCode}

Try, in another terminal:

  # fetch the internal page as ${DEMO.deviceId}, with the certificate it enrolled over SCEP
  ${proxy} \\
      http://${DEMO.openHost}:${ports.site}/

  # a destination that a rule forbids, refused by the rule's name
  ${proxy} \\
      --verbose http://${DEMO.closedHost}:${ports.site}/

  # watch a page that never ends (/clock), and in a third terminal have the device marked non-compliant: it is cut
  ${proxy} \\
      http://${DEMO.openHost}:${ports.site}/clock
  TOKEN=$(${api} ${controlPlane}/api/session \\
      -d '{"userName":"admin","password":"${password}"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
  ${api} -H "authorization: Bearer $TOKEN" -X PATCH \\
      -d '{"complianceState":"noncompliant"}' ${controlPlane}/beta/deviceManagement/managedDevices/${DEMO.deviceId}
  # the last command again with "compliant" lets it in again

  # devices of the Configuration Manager site, and a policy refresh on one of them with its outcome
  ${api} -H "authorization: Bearer $TOKEN" "${devices}?\\$filter=configurationManagerSite+eq+'${DEMO_SITE.siteCode}'&\\$top=3"
  ${api} -H "authorization: Bearer $TOKEN" ${operations} \\
      -d '{"notification":"refreshMachinePolicy","target":{"resourceIds":[${DEMO_SITE.firstResourceId}]}}'
  ${api} -H "authorization: Bearer $TOKEN" ${operations}

  # the whole story in one command, on ports of its own
  npm run tour

Ctrl-C stops everything; the next npm start picks up where this one left off.`;
}
