import type { X509Certificate } from "node:crypto";
import { accessSync, constants, statfsSync } from "node:fs";
import type { TLSSocket } from "node:tls";
import { systemClock } from "../clock.ts";
import { ConnectorError } from "../errors.ts";
import { connectToCloud, parseCloudUrl } from "../link/cloud-address.ts";
import { CloudHttp } from "../link/cloud-http.ts";
import { commandPayloads, MAX_CLOCK_OFFSET_MS } from "../link/messages.ts";
import type { Operations } from "../store/transaction.ts";
import { type CliLeaf, EXIT_FAILED, EXIT_OK } from "./command.ts";
import type { CommonConfiguration } from "./common-configuration.ts";
import { checkConfiguration } from "./configuration.ts";
import { checkFiles, guardrailsResult, unknownKinds } from "./connector-checks.ts";
import { readGuardrails } from "./connector-foundation.ts";
import { cloudAccess, connectorSource } from "./connector-source.ts";
import { inspectGuardrailsFile } from "./guardrails-file.ts";
import { runCheck } from "./health.ts";
import type { Identity } from "./identity.ts";
import { CONFIG_OPTION, loadLocalConfiguration } from "./local-configuration.ts";
import { readRunFile } from "./run-file.ts";
import type { CheckResult, HealthCheck, ServiceDefinition } from "./service-definition.ts";
import { readStandalone } from "./standalone-file.ts";
import { stateFolderAt } from "./state-folder.ts";
import { checkLines } from "./status-text.ts";

/** Own limits. */
const CONNECT_TIMEOUT_MS = 8_000;
const CERTIFICATE_WARNING_MS = 14 * 86_400_000;
const LOW_DISK_BYTES = 268_435_456;

/** `check`: tests everything that the service will need, without starting it, and says how to mend what fails. */
export function checkCommand<Local, Desired, Rules, Ops extends Operations>(
  definition: ServiceDefinition<Local, Desired, Rules, Ops>,
): CliLeaf {
  return {
    name: "check",
    summary: "test configuration, endpoints, credentials, clock and certificates",
    options: { config: CONFIG_OPTION },
    async run(call) {
      const local = loadLocalConfiguration(definition, call.required("config"));
      const checks = [...kernelChecks(definition, local), ...(definition.checks?.(local) ?? [])];
      const results = await Promise.all(checks.map(runCheck));
      const isWell = results.every(({ status }) => status !== "unhealthy");
      return {
        text: checkLines(results).join("\n"),
        value: { isWell, checks: results },
        exitCode: isWell ? EXIT_OK : EXIT_FAILED,
      };
    },
  };
}

function kernelChecks<Local, Desired, Rules, Ops extends Operations>(
  definition: ServiceDefinition<Local, Desired, Rules, Ops>,
  local: Local & CommonConfiguration,
): HealthCheck[] {
  const folder = stateFolderAt(local.stateFolder);
  const checks: HealthCheck[] = [
    { name: "state-folder", run: () => checkStateFolder(folder.path) },
    {
      name: "guardrails",
      run: () => checkGuardrails(definition, local),
    },
  ];
  const running = readRunFile(folder.runFile);
  if (running?.files !== undefined && isAlive(running.pid)) {
    const { pid, files } = running;
    checks.push({ name: "running", run: () => checkFiles(files, `the process ${pid}`) });
  }
  const source = sourceOrFault(definition, local);
  if ("fault" in source) return [...checks, { name: "enrolment", run: () => source.fault }];
  if (source.kind === "standalone") {
    const run = () => checkStandalone(definition, source.file);
    return [...checks, { name: "desired-configuration", run }];
  }
  const { identity } = source;
  return [
    ...checks,
    { name: "enrolment", run: () => enrolled(identity) },
    { name: "control-plane", run: () => checkControlPlane(identity, local) },
    { name: "clock", run: () => checkClock(identity, local) },
  ];
}

/** A process that was killed leaves its file behind. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function sourceOrFault<Local, Desired, Rules, Ops extends Operations>(
  { service }: ServiceDefinition<Local, Desired, Rules, Ops>,
  local: CommonConfiguration,
) {
  try {
    return connectorSource(service, stateFolderAt(local.stateFolder), local);
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error;
    const fault: CheckResult = {
      status: "unhealthy",
      reason: error.message,
      remedy:
        error.code === "not-enrolled"
          ? `take a token (\`control-plane token create --service ${service}\`) to \`${service} enrol --config PATH --token-file FILE\``
          : "see the reason",
    };
    return { fault };
  }
}

function checkStandalone<Local, Desired, Rules, Ops extends Operations>(
  { desiredConfiguration }: ServiceDefinition<Local, Desired, Rules, Ops>,
  file: string,
): CheckResult {
  const { version, configuration } = readStandalone(file);
  checkConfiguration(desiredConfiguration, configuration, file);
  return { status: "healthy", reason: `${file} holds version ${version}` };
}

function enrolled({ connectorId, linkUrl }: Identity): CheckResult {
  return { status: "healthy", reason: `enrolled as ${connectorId} at ${linkUrl}` };
}

function checkStateFolder(path: string): CheckResult {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return {
      status: isMissing ? "warning" : "unhealthy",
      reason: isMissing ? `${path} does not exist yet` : `${path} may not be written by this user`,
      remedy: isMissing
        ? "it is made by `enrol` or `run`"
        : "give the folder to the service's user",
    };
  }
  const { bavail, bsize } = statfsSync(path);
  const freeMiB = Math.floor((bavail * bsize) / 1_048_576);
  if (bavail * bsize >= LOW_DISK_BYTES) {
    return { status: "healthy", reason: `${path} may be written, ${freeMiB} MiB are free` };
  }
  return {
    status: "warning",
    reason: `only ${freeMiB} MiB are free for ${path}`,
    remedy: "free some space: a full disk stops issuing and recording",
  };
}

function checkGuardrails<Local, Desired, Rules, Ops extends Operations>(
  definition: ServiceDefinition<Local, Desired, Rules, Ops>,
  { guardrailsFile, strict }: CommonConfiguration,
): CheckResult {
  const { commands } = readGuardrails(definition, guardrailsFile);
  const guardrailsFault = inspectGuardrailsFile(guardrailsFile, false);
  const result = guardrailsResult(
    { guardrailsFault, unknownKinds: unknownKinds(commands, commandPayloads) },
    `${guardrailsFile} allows ${commands.allow.length} kinds of commands and cannot be written by this process`,
  );
  return strict && guardrailsFault !== undefined ? { ...result, status: "unhealthy" } : result;
}

async function checkControlPlane(
  identity: Identity,
  local: CommonConfiguration,
): Promise<CheckResult> {
  const url = parseCloudUrl(identity.linkUrl);
  const address = { url, ...cloudAccess(local.cloud, identity.cloudCa) };
  const socket = await connectToCloud(address, AbortSignal.timeout(CONNECT_TIMEOUT_MS));
  try {
    const certificate = (socket as Partial<TLSSocket>).getPeerX509Certificate?.();
    if (certificate === undefined) {
      return { status: "healthy", reason: `${url.host} answers (unencrypted, on loopback)` };
    }
    return expiryOf(certificate, url.host);
  } finally {
    socket.destroy();
  }
}

function expiryOf(certificate: X509Certificate, host: string): CheckResult {
  const leftMs = certificate.validToDate.getTime() - systemClock.now();
  const until = certificate.validToDate.toISOString().slice(0, 10);
  if (leftMs > CERTIFICATE_WARNING_MS) {
    return { status: "healthy", reason: `${host} answers, its certificate is good until ${until}` };
  }
  return {
    status: "warning",
    reason: `${host} answers, its certificate ends on ${until}`,
    remedy: "renew the control plane's certificate",
  };
}

/** By the `Date` of an HTTP answer, which every server and proxy gives; whole seconds are enough for 5 minutes. */
async function checkClock(identity: Identity, local: CommonConfiguration): Promise<CheckResult> {
  const { href } = parseCloudUrl(identity.linkUrl);
  const url = new URL(href.replace(/^ws/, "http"));
  using http = new CloudHttp({ url, ...cloudAccess(local.cloud, identity.cloudCa) });
  const { headers } = await http.send({
    method: "GET",
    path: "/",
    maxAnswerBytes: 1_048_576,
    timeoutMs: CONNECT_TIMEOUT_MS,
  });
  const offsetMs = Date.parse(headers.date ?? "") - systemClock.now();
  if (!Number.isFinite(offsetMs)) {
    return {
      status: "unknown",
      reason: "the control plane's answer has no date",
      remedy: "look at a proxy in between that removes it",
    };
  }
  const seconds = Math.round(offsetMs / 1_000);
  if (Math.abs(offsetMs) <= MAX_CLOCK_OFFSET_MS) {
    return { status: "healthy", reason: `the two clocks are ${Math.abs(seconds)} s apart` };
  }
  return {
    status: "unhealthy",
    reason: `the control plane's clock is ${seconds} s off ours, more than 5 minutes`,
    remedy: "synchronise this host's clock (NTP)",
  };
}
