import { ConfigurationError, RefusalError } from "@isthmus/shared/errors";
import type { AccessRules } from "./access.ts";
import { type AccessLogDetail, type DetailBounds, refuseDetail } from "./access-log.ts";
import { type DestinationBound, type DestinationSet, isWithinBound } from "./destination.ts";
import type { Exception } from "./egress.ts";
import { type Cidr, parseCidr } from "./ip-address.ts";
import { compilePolicies, type Policy, type RuleProtocol } from "./policy.ts";
import { ALL_PORTS, type PortRange, parsePortRange } from "./port-range.ts";
import { compileVpnRules, type VpnDocument, type VpnFacilities } from "./vpn/compile-vpn-rules.ts";
import { refuseVpnExcess, type VpnBounds } from "./vpn/vpn-bounds.ts";
import { NO_VPN } from "./vpn/vpn-rules.ts";

/** The parts of a desired configuration that decide about access, as they are written. */
export interface RulesDocument {
  readonly policies: readonly {
    readonly name: string;
    readonly groups: readonly string[];
    readonly rules: readonly {
      readonly name: string;
      readonly action: "allow" | "deny";
      readonly protocol?: RuleProtocol | undefined;
      readonly destinations: readonly DestinationText[];
    }[];
  }[];
  readonly devices: { readonly maximumAgeMinutes: number; readonly graceMinutes: number };
  readonly revocation: { readonly softAgeMinutes: number; readonly hardAgeMinutes: number };
  readonly accessLog?: { readonly detail?: AccessLogDetail | undefined } | undefined;
  readonly vpn?: VpnDocument | undefined;
}

export interface DestinationText {
  readonly name?: string | undefined;
  readonly cidr?: string | undefined;
  /** All where none are given. */
  readonly ports?: readonly (number | string)[] | undefined;
}

export interface RuleBounds {
  readonly destinations: DestinationBound;
  readonly maximumDeviceAgeMinutes?: number | undefined;
  readonly maximumRevocationAgeMinutes?: number | undefined;
  /** How much the access log may say; not bounded where undefined. */
  readonly accessLogDetail?: DetailBounds | undefined;
  /** What the local configuration has for the VPN; undefined where it has none, and then no group of it is in force. */
  readonly vpn?: VpnFacilities | undefined;
  /** What the guardrails say of its logins; not bounded where undefined. */
  readonly vpnLogins?: VpnBounds | undefined;
}

const MINUTE_MS = 60_000;
// RFC 1123 section 2.1, and the underscore of Windows networks, as in the CONNECT target.
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*$/;

/**
 * Compiles a desired configuration.
 *
 * @throws ConfigurationError with every fault; `RefusalError` where it exceeds the local guardrails.
 */
export function compileRules(document: RulesDocument, bounds: RuleBounds): AccessRules {
  const faults: string[] = [];
  const policies = document.policies.map((policy, index) => ({
    ...policy,
    rules: policy.rules.map((rule, at) => ({
      ...rule,
      destinations: compileDestinations(
        rule.destinations,
        `policies.${index}.rules.${at}.destinations`,
        faults,
      ),
    })),
  }));
  faults.push(...duplicates(policies));
  const vpn =
    document.vpn && bounds.vpn ? compileVpnRules(document.vpn, bounds.vpn, faults) : NO_VPN;
  if (faults.length > 0) throw new ConfigurationError("the desired configuration", faults);
  refuseExcess(policies, document, bounds);
  const { devices, revocation } = document;
  return {
    policy: compilePolicies(policies),
    policies,
    vpn,
    ageLimits: {
      maximumAgeMs: devices.maximumAgeMinutes * MINUTE_MS,
      graceMs: devices.graceMinutes * MINUTE_MS,
    },
    freshness: {
      softAgeMs: revocation.softAgeMinutes * MINUTE_MS,
      hardAgeMs: revocation.hardAgeMinutes * MINUTE_MS,
    },
  };
}

/** Reads destinations; what cannot be read is added to `faults` under `key`. */
export function compileDestinations(
  texts: readonly DestinationText[],
  key: string,
  faults: string[],
): DestinationSet[] {
  return texts.flatMap((text, index): DestinationSet[] => {
    const at = `${key}.${index}`;
    const ports = text.ports ? compilePorts(text.ports, at, faults) : ALL_PORTS;
    if (text.cidr !== undefined) {
      const network = compileNetwork(text.cidr, `${at}.cidr`, faults);
      return network ? [{ kind: "network", network, ports }] : [];
    }
    const name = (text.name ?? "").toLowerCase().replace(/\.$/, "");
    if (!HOST_NAME.test(name)) faults.push(`${at}.name: ${quoted(text.name)} is no host name`);
    return [{ kind: "name", name, ports }];
  });
}

/** Reads exceptions to the default-deny list; one without ports holds for all. */
export function compileExceptions(
  texts: readonly (
    | string
    | { readonly cidr: string; readonly ports: readonly (number | string)[] }
  )[],
  key: string,
  faults: string[],
): Exception[] {
  return texts.flatMap((text, index) => {
    const at = `${key}.${index}`;
    const network = compileNetwork(typeof text === "string" ? text : text.cidr, at, faults);
    const ports = typeof text === "string" ? ALL_PORTS : compilePorts(text.ports, at, faults);
    return network ? [{ network, ports }] : [];
  });
}

/** Reads one network; undefined and a fault when it is none. */
export function compileNetwork(text: string, key: string, faults: string[]): Cidr | undefined {
  const network = parseCidr(text);
  if (!network) {
    faults.push(`${key}: ${quoted(text)} is no network, e.g. 10.1.0.0/16 without host bits`);
  }
  return network;
}

function compilePorts(
  texts: readonly (number | string)[],
  at: string,
  faults: string[],
): readonly PortRange[] {
  return texts.flatMap((text) => {
    const range = parsePortRange(text);
    if (!range) faults.push(`${at}.ports: ${quoted(String(text))} is no port or range`);
    return range ?? [];
  });
}

/** A rule is known by `policy/rule`, so that name may not stand for two. */
function duplicates(policies: readonly Policy[]): string[] {
  const seen = new Set<string>();
  return policies.flatMap((policy) =>
    policy.rules.flatMap((rule) => {
      const name = `${policy.name}/${rule.name}`;
      const isNew = seen.size < seen.add(name).size;
      return isNew ? [] : [`policies: two rules are named ${name}`];
    }),
  );
}

function refuseExcess(
  policies: readonly Policy[],
  document: RulesDocument,
  bounds: RuleBounds,
): void {
  for (const policy of policies) {
    const allowing = policy.rules.filter((rule) => rule.action === "allow");
    const excess = allowing.find((rule) =>
      rule.destinations.some((set) => !isWithinBound(set, bounds.destinations)),
    );
    if (excess) {
      const rule = `${policy.name}/${excess.name}`;
      throw refusal("destinations", `rule ${rule} opens more than the guardrails allow`);
    }
  }
  const { maximumAgeMinutes, graceMinutes } = document.devices;
  if (maximumAgeMinutes + graceMinutes > (bounds.maximumDeviceAgeMinutes ?? Infinity)) {
    throw refusal("maximumDeviceAgeMinutes", "device states would count longer than allowed");
  }
  if (document.revocation.hardAgeMinutes > (bounds.maximumRevocationAgeMinutes ?? Infinity)) {
    throw refusal("maximumRevocationAgeMinutes", "revocations would count longer than allowed");
  }
  if (document.accessLog) refuseDetail(document.accessLog.detail, bounds.accessLogDetail ?? {});
  // Without a VPN of its own the host lets nobody in by these groups.
  if (document.vpn && bounds.vpn) refuseVpnExcess(document.vpn, bounds.vpnLogins ?? {});
}

function refusal(key: string, message: string): RefusalError {
  return new RefusalError("guardrail-exceeded", `guardrails.tunnel-gateway.${key}`, message);
}

function quoted(text: string | undefined): string {
  return JSON.stringify(text ?? "");
}
