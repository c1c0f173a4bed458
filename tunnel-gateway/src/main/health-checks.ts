import { X509Certificate } from "node:crypto";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { AccessControl } from "../core/access.ts";
import type { DeviceStates } from "../core/device-states.ts";
import { ageOfStates } from "../core/gate.ts";
import { issuerIdOf } from "../core/identity.ts";
import { ageOfList, type RevocationKnowledge } from "../core/revocation.ts";

const DAY_MS = 86_400_000;
/** Microsoft Tunnel's health check: healthy above 30 days, unhealthy once expired. */
const EXPIRY_WARNING_DAYS = 30;
const CAPACITY_WARNING = 0.9;

export interface HealthOptions {
  readonly now: () => number;
  readonly isListening: () => boolean;
  readonly port: () => number;
  /** The certificate in force, PEM. */
  readonly certificate: () => string;
  /** Why the files could not be put in force when they last changed. */
  readonly reloadFault: () => string | undefined;
  readonly access: AccessControl;
  readonly states: DeviceStates;
  readonly knowledge: RevocationKnowledge;
  readonly failures: () => readonly { readonly anchor: string; readonly message: string }[];
  readonly open: () => number;
  readonly capacity: () => number;
}

/** The gateway's health checks, each with a reason and a remedy. */
export function healthChecks(options: HealthOptions): HealthCheck[] {
  return [
    { name: "listener", run: () => listenerHealth(options) },
    { name: "tls-certificate", run: () => certificateHealth(options) },
    { name: "revocation", run: () => revocationHealth(options) },
    { name: "device-states", run: () => statesHealth(options) },
    { name: "capacity", run: () => capacityHealth(options) },
  ];
}

function listenerHealth({ isListening, port }: HealthOptions): CheckResult {
  if (isListening()) return { status: "healthy", reason: `devices are served on port ${port()}` };
  const remedy = "restart the gateway; its log says why it stopped listening";
  return { status: "unhealthy", reason: "the port for devices is closed", remedy };
}

function certificateHealth(options: HealthOptions): CheckResult {
  const fault = options.reloadFault();
  if (fault !== undefined) {
    const remedy = "mend the files that tls and trustAnchors name; the former ones stay in force";
    return { status: "warning", reason: `changed files are not in force: ${fault}`, remedy };
  }
  return certificateExpiry(options.certificate(), options.now());
}

/** How long a certificate (PEM) is still valid. */
export function certificateExpiry(certificate: string, now: number): CheckResult {
  const { validToDate } = new X509Certificate(certificate);
  const days = Math.floor((validToDate.getTime() - now) / DAY_MS);
  const remedy = "put a renewed certificate and key in place of the files that tls names";
  const until = validToDate.toISOString();
  if (days < 0) return { status: "unhealthy", reason: `it expired on ${until}`, remedy };
  if (days < EXPIRY_WARNING_DAYS) {
    return { status: "warning", reason: `it expires on ${until}, in ${days} days`, remedy };
  }
  return { status: "healthy", reason: `valid until ${until}` };
}

const WORST = ["unhealthy", "warning", "healthy"] as const;

function revocationHealth(options: HealthOptions): CheckResult {
  const results = [...options.access.local.anchors.keys()].map((name) =>
    anchorHealth(name, options),
  );
  const worst = WORST.find((status) => results.some((result) => result.status === status));
  const remedies = [...new Set(results.flatMap(({ remedy }) => remedy ?? []))];
  return {
    status: worst ?? "healthy",
    reason: results.map(({ reason }) => reason).join("; "),
    ...(remedies.length > 0 ? { remedy: remedies.join("; ") } : {}),
  };
}

function anchorHealth(name: string, options: HealthOptions): CheckResult {
  const { access, knowledge, now } = options;
  const anchor = access.local.anchors.get(name);
  const failure = options.failures().find((one) => one.anchor === name);
  const because = failure ? ` (${failure.message})` : "";
  if (!anchor?.revocation.hasLists && !anchor?.revocation.hasOcsp) {
    const remedy = `name a crl or ocsp for trust anchor ${name}, or accept that nothing is revoked`;
    return { status: "warning", reason: `${name}: revocations are not checked`, remedy };
  }
  if (!anchor.revocation.hasLists) {
    const remedy = `make the OCSP responder of ${name} reachable`;
    if (failure) return { status: "warning", reason: `${name}: no answer${because}`, remedy };
    return { status: "healthy", reason: `${name}: asked by OCSP at each connection` };
  }
  const lists = anchor.authorities.flatMap((one) => knowledge.listOf(issuerIdOf(one)) ?? []);
  const ages = lists.map((list) => ageOfList(list, access.rules.freshness, now()));
  const remedy = `make the revocation list of ${name} reachable and current`;
  if (ages.length === 0) {
    const reason = `${name}: no list yet${because}`;
    return { status: anchor.revocation.hasOcsp ? "warning" : "unhealthy", reason, remedy };
  }
  if (ages.includes("outdated")) {
    const reason = `${name}: the list is older than allowed, new connections are refused${because}`;
    return { status: "unhealthy", reason, remedy };
  }
  if (ages.includes("stale") || failure) {
    return { status: "warning", reason: `${name}: the list grows old${because}`, remedy };
  }
  return { status: "healthy", reason: `${name}: current` };
}

function statesHealth({ states, access, now }: HealthOptions): CheckResult {
  const { directory, source } = states;
  if (source.refusedVersion !== undefined) {
    const reason = `update ${source.refusedVersion} would have cut more sessions than allowed and was refused`;
    const remedy =
      "see the audit; if it was meant, raise guardrails.commands.limits.session-cuts and send a snapshot again";
    return { status: "warning", reason, remedy };
  }
  const freshness = states.freshness();
  if (freshness.source === "list") {
    return { status: "healthy", reason: `${directory.size} devices from the configuration's list` };
  }
  if (source.version === 0) {
    const remedy =
      "let the control plane send them, or list the devices in the desired configuration";
    return { status: "warning", reason: "no device states have come yet", remedy };
  }
  const age = ageOfStates(freshness, access.rules.ageLimits, now());
  const reason = `${directory.size} devices, version ${source.version}, ${age}`;
  const remedy = "restore the link to the control plane";
  switch (age) {
    case "current":
      return { status: "healthy", reason };
    case "in-grace":
      return { status: "warning", reason, remedy };
    case "outdated":
      return { status: "unhealthy", reason, remedy };
  }
}

function capacityHealth({ open, capacity }: HealthOptions): CheckResult {
  const reason = `${open()} of ${capacity()} connections`;
  if (open() < capacity() * CAPACITY_WARNING) return { status: "healthy", reason };
  const remedy = "raise limits.connections or add a gateway";
  return { status: "warning", reason, remedy };
}
