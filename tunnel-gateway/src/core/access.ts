import type { Clock } from "@isthmus/shared/clock";
import { type Destination, type DestinationBound, isMember } from "./destination.ts";
import type { Device, DeviceDirectory } from "./device.ts";
import type { EgressGuard } from "./egress.ts";
import {
  type AgeOfStates,
  ageOfStates,
  type DeviceAgeLimits,
  type DeviceFreshness,
  type GateVerdict,
  judgeDevice,
} from "./gate.ts";
import { issuerIdOf, type PeerCertificate, type TrustAnchor } from "./identity.ts";
import type { OpenConnection, OpenSession } from "./open-connections.ts";
import type { Policy, PolicyMatcher } from "./policy.ts";
import type { Refusal } from "./refusal.ts";
import {
  judgeRevocation,
  needsAnswer,
  type RevocationFreshness,
  type RevocationKnowledge,
} from "./revocation.ts";
import type { VpnGroup, VpnRules } from "./vpn/vpn-rules.ts";

/** What the configuration says, compiled; replaced as a whole. */
export interface AccessRules {
  readonly policy: PolicyMatcher;
  /** What `policy` was made of, for deciding about packets. */
  readonly policies: readonly Policy[];
  readonly vpn: VpnRules;
  readonly ageLimits: DeviceAgeLimits;
  readonly freshness: RevocationFreshness;
}

/** What the gateway's own surroundings say; the cloud has no part in it. */
export interface LocalRules {
  readonly anchors: ReadonlyMap<string, TrustAnchor>;
  readonly egress: EgressGuard;
  readonly bound: DestinationBound;
}

export type DestinationVerdict =
  | { readonly rule: string; readonly refusal?: undefined }
  | { readonly rule?: undefined; readonly refusal: Refusal };

/** What decides about a session of the VPN. */
export type SessionHolder = Pick<OpenSession, "certificate" | "group" | "userGroups">;

/** The group of a session, the device behind it where one counts, and the groups by which policies are chosen. */
export type SessionVerdict =
  | {
      readonly group: VpnGroup;
      readonly device: Device | undefined;
      readonly policyGroups: readonly string[];
      readonly refusal?: undefined;
    }
  | { readonly refusal: Refusal };

/**
 * Decides whether a device may connect, where to, and whether it may go on: the same questions at connect and whenever
 * rules, device states or revocations change.
 */
export class AccessControl {
  /** Both are replaced by their owners when configuration, trust anchors or surroundings change. */
  rules: AccessRules;
  local: LocalRules;
  readonly #clock: Clock;
  readonly #devices: () => DeviceDirectory;
  readonly #knowledge: RevocationKnowledge;
  readonly #deviceFreshness: () => DeviceFreshness;

  constructor(options: {
    readonly rules: AccessRules;
    readonly local: LocalRules;
    readonly clock: Clock;
    readonly devices: () => DeviceDirectory;
    readonly knowledge: RevocationKnowledge;
    readonly deviceFreshness: () => DeviceFreshness;
  }) {
    this.rules = options.rules;
    this.local = options.local;
    this.#clock = options.clock;
    this.#devices = options.devices;
    this.#knowledge = options.knowledge;
    this.#deviceFreshness = options.deviceFreshness;
  }

  /** How old the device states are against the limits in force. */
  ageOfStates(): AgeOfStates {
    return ageOfStates(this.#deviceFreshness(), this.rules.ageLimits, this.#clock.now());
  }

  /** Whether an OCSP responder has to be asked before `admit` can say yes. */
  needsAnswer(certificate: PeerCertificate): boolean {
    const anchor = this.local.anchors.get(certificate.anchor);
    if (!anchor) return false;
    const { freshness } = this.rules;
    return needsAnswer(certificate, anchor, this.#knowledge, freshness, this.#clock.now());
  }

  /** Whether the holder of a certificate may open connections now. */
  admit(certificate: PeerCertificate): GateVerdict {
    const refusal = this.#judgeCertificate(certificate, this.#clock.now());
    return refusal ? { refusal } : this.#judgeHolder(certificate, this.#devices());
  }

  /** The same where the device behind the certificate may not be needed; it is named only where it passes the gate. */
  admitHolder(
    certificate: PeerCertificate,
    needsDevice: boolean,
  ): { readonly device?: Device | undefined; readonly refusal?: Refusal | undefined } {
    const refusal = this.#judgeCertificate(certificate, this.#clock.now());
    if (refusal) return { refusal };
    const gate = this.#judgeHolder(certificate, this.#devices());
    return gate.refusal && !needsDevice ? {} : gate;
  }

  /** Whether asking the DNS for a name could end in a connection. */
  judgeName(device: Device, name: string, port: number): Refusal | undefined {
    const verdict = this.rules.policy.judgeName(device.groups, name, port);
    return verdict && denied(verdict.rule, `the policy does not allow ${name} port ${port}`);
  }

  /** Whether a device may connect to one address: default-deny list, local bound, then policy. */
  judgeDestination(device: Device, destination: Destination): DestinationVerdict {
    const forbidden = this.local.egress.judge(destination.address, destination.port);
    if (forbidden) return { refusal: forbidden };
    if (this.local.bound && !this.local.bound.some((set) => isMember(set, destination))) {
      return { refusal: outOfBounds(destination) };
    }
    const verdict = this.rules.policy.judge(device.groups, destination);
    if (verdict.action === "allow") return { rule: verdict.rule };
    return { refusal: denied(verdict.rule, "the policy does not allow this destination") };
  }

  /** Why an open connection may not go on; undefined when it may. `devices` stands for a state not yet in force. */
  rejudge(connection: OpenConnection, devices = this.#devices()): Refusal | undefined {
    if (connection.kind === "session") return this.rejudgeSession(connection, devices).refusal;
    const refusal = this.#judgeStanding(connection.certificate);
    if (refusal) return refusal;
    const gate = this.#judgeHolder(connection.certificate, devices);
    if (gate.refusal) return gate.refusal;
    return this.judgeDestination(gate.device, connection.destination).refusal;
  }

  /** Whether somebody may have a session of the VPN, at the login and at each connection. */
  admitSession(holder: SessionHolder): SessionVerdict {
    const { certificate } = holder;
    const refusal = certificate && this.#judgeCertificate(certificate, this.#clock.now());
    return refusal ? { refusal } : this.#judgeSession(holder, this.#devices());
  }

  /** Whether a session may go on. */
  rejudgeSession(holder: SessionHolder, devices = this.#devices()): SessionVerdict {
    const refusal = holder.certificate && this.#judgeStanding(holder.certificate);
    return refusal ? { refusal } : this.#judgeSession(holder, devices);
  }

  /** The same with other rules, to see what they would do. */
  withRules(rules: AccessRules): AccessControl {
    return new AccessControl({
      rules,
      local: this.local,
      clock: this.#clock,
      devices: this.#devices,
      knowledge: this.#knowledge,
      deviceFreshness: this.#deviceFreshness,
    });
  }

  /** A device stands behind it where the group wants one, and counts where it passes the gate. */
  #judgeSession(holder: SessionHolder, devices: DeviceDirectory): SessionVerdict {
    const group = this.rules.vpn.groups.find(({ name }) => name === holder.group);
    if (!group) return { refusal: noGroup(holder.group) };
    const gate = holder.certificate && this.#judgeHolder(holder.certificate, devices);
    if (group.requireDevice && !gate?.device) return { refusal: gate?.refusal ?? NO_CERTIFICATE };
    const device = gate?.device;
    const groups = [...new Set([...(device?.groups ?? []), ...holder.userGroups])];
    if (group.members && !group.members.some((one) => one === "*" || groups.includes(one))) {
      return { refusal: notMember(group) };
    }
    const { poolMembers } = group;
    if (poolMembers && !poolMembers.some((one) => holder.userGroups.includes(one))) {
      return { refusal: notInPool(group) };
    }
    return { group, device, policyGroups: [...new Set([...groups, ...group.policyGroups])] };
  }

  #judgeStanding(certificate: PeerCertificate): Refusal | undefined {
    const refusal = this.#judgeCertificate(certificate, this.#clock.now());
    return refusal && endsConnections(refusal) ? refusal : undefined;
  }

  #judgeCertificate(certificate: PeerCertificate, now: number): Refusal | undefined {
    const anchor = this.local.anchors.get(certificate.anchor);
    const rule = `anchor/${certificate.anchor}`;
    if (!anchor?.authorities.some((one) => issuerIdOf(one) === certificate.issuerId)) {
      const message = "the certificate's issuer is no longer trusted";
      return { code: "certificate-untrusted", rule, message };
    }
    if (now > certificate.notAfter) {
      return { code: "certificate-expired", rule, message: "the certificate has expired" };
    }
    const { freshness } = this.rules;
    return judgeRevocation(certificate, anchor, this.#knowledge, freshness, now).refusal;
  }

  #judgeHolder(certificate: PeerCertificate, devices: DeviceDirectory): GateVerdict {
    return judgeDevice(certificate.identity, devices, this.ageOfStates());
  }
}

/** Not knowing about revocations any more keeps new connections out; it is no reason to end those that stand. */
function endsConnections(refusal: Refusal): boolean {
  return refusal.code !== "revocation-outdated" && refusal.code !== "revocation-unknown";
}

const NO_CERTIFICATE: Refusal = {
  code: "certificate-missing",
  rule: "gate/certificate",
  message: "the device has to show a certificate",
};

function noGroup(name: string): Refusal {
  return { code: "group-unknown", rule: "vpn/groups", message: `there is no group ${name}` };
}

function notMember({ name, label }: VpnGroup): Refusal {
  const message = `neither user nor device may choose ${label}`;
  return { code: "group-not-member", rule: `group/${name}/members`, message };
}

function notInPool({ label, pool = "" }: VpnGroup): Refusal {
  const message = `the user has no right to the addresses of ${label}`;
  return { code: "group-not-member", rule: `vpn/pools/${pool}/members`, message };
}

function denied(rule: string, message: string): Refusal {
  return { code: "policy-denied", rule, message };
}

function outOfBounds(destination: Destination): Refusal {
  const message = `the gateway's guardrails allow no policy to open port ${destination.port} there`;
  return { code: "guardrail-destination", rule: "guardrails/destinations", message };
}
