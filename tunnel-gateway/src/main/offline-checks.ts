import { codeOf } from "@isthmus/shared/errors";
import type { CommonConfiguration } from "@isthmus/shared/kernel/common-configuration";
import { portCheck } from "@isthmus/shared/kernel/port-check";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import { acceptList, derOfList } from "../core/certificate-lists.ts";
import type { RevocationPlaces } from "../core/ports.ts";
import { revocationSource } from "../revocation/revocation-source.ts";
import { certificateExpiry } from "./health-checks.ts";
import { offlineVpnChecks } from "./offline-vpn-checks.ts";
import { type CheckedLocal, ownRulesHealth } from "./own-rules.ts";
import { loadTlsMaterial } from "./tls-material.ts";
import { loadTrust, type Trust } from "./trust-anchors.ts";

/** Own limit: `check` gives each of its checks 10 s. */
const TIMEOUT_MS = 8_000;

/** What `check` tests of a gateway that is not running; what they throw is reported as unhealthy. */
export function offlineChecks(
  local: CheckedLocal & Pick<CommonConfiguration, "stateFolder">,
): HealthCheck[] {
  const file = local.standalone?.desiredConfigurationFile;
  return [
    { name: "tls-certificate", run: () => tlsHealth(local) },
    { name: "trust-anchors", run: () => anchorsHealth(local) },
    portCheck(local),
    { name: "revocation", run: () => sourcesHealth(loadTrust(local.trustAnchors)) },
    ...(file === undefined ? [] : [{ name: "rules", run: () => rulesHealth(local, file) }]),
    ...(local.vpn ? offlineVpnChecks(local, local.vpn) : []),
  ];
}

function rulesHealth(local: CheckedLocal, file: string): CheckResult {
  return ownRulesHealth(local, file, ({ policies }) => {
    const reason = `${policies.length} policies, within what the guardrails allow`;
    return { status: "healthy", reason };
  });
}

function tlsHealth(local: LocalConfiguration): CheckResult {
  const { certificate } = loadTlsMaterial(local.tls, []);
  return certificateExpiry(certificate, Date.now());
}

function anchorsHealth(local: LocalConfiguration): CheckResult {
  const { anchors } = loadTrust(local.trustAnchors);
  const authorities = [...anchors.values()].flatMap((anchor) => anchor.authorities);
  const expired = authorities.filter(({ notAfter }) => notAfter < Date.now());
  if (expired.length > 0) {
    const reason = `${expired.length} of ${authorities.length} CA certificates have expired`;
    const remedy = "put the renewed CA certificates into the files of trustAnchors";
    return { status: "unhealthy", reason, remedy };
  }
  const reason = `${anchors.size} trust anchors with ${authorities.length} CA certificates`;
  return { status: "healthy", reason };
}

async function sourcesHealth(trust: Trust): Promise<CheckResult> {
  const places = trust.places.flatMap((place) => place.lists.map((url) => ({ place, url })));
  if (places.length === 0) {
    const remedy = "name a crl for each trust anchor";
    return { status: "warning", reason: "no revocation list is configured", remedy };
  }
  const faults = await Promise.all(places.map(({ place, url }) => faultOf(trust, place, url)));
  const found = faults.filter((fault) => fault !== undefined);
  if (found.length === 0) return { status: "healthy", reason: `${places.length} lists are valid` };
  const remedy = "make the revocation lists reachable, or correct trustAnchors";
  return { status: "unhealthy", reason: found.join("; "), remedy };
}

async function faultOf(
  trust: Trust,
  place: RevocationPlaces,
  url: URL,
): Promise<string | undefined> {
  try {
    const bytes = await revocationSource.fetchList(url, AbortSignal.timeout(TIMEOUT_MS));
    const authorities = trust.anchors.get(place.anchor)?.authorities ?? [];
    const { list } = acceptList(derOfList(bytes), authorities, () => undefined, Date.now());
    const isExpired = list.nextUpdate !== undefined && list.nextUpdate < Date.now();
    return isExpired ? `${place.anchor}: the list at ${url.href} has expired` : undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : codeOf(error);
    return `${place.anchor}: ${reason}`;
  }
}
