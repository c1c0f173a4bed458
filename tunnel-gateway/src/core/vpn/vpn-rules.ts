/** The VPN's part of the desired configuration, compiled and checked; replaced as a whole. */
export interface VpnRules {
  /** The first is the default. */
  readonly groups: readonly VpnGroup[];
  readonly bans: BanRules;
}

/** One group that a client can log in to. */
export interface VpnGroup {
  readonly name: string;
  readonly label: string;
  /** Any one of these lists, all of whose authenticators have to name the same user. */
  readonly authentication: readonly (readonly string[])[];
  readonly requireDevice: boolean;
  /** Groups of which the user or the device has to be in one; undefined for everyone. */
  readonly members: readonly string[] | undefined;
  readonly policyGroups: readonly string[];
  /** Of the local configuration; undefined for the addresses of no pool. */
  readonly pool: string | undefined;
  /** Of the pool: groups, of which an authenticator has to say that the user is in one. The cloud has no part in it. */
  readonly poolMembers: readonly string[] | undefined;
  /** CIDR. */
  readonly routesInclude: readonly string[];
  readonly routesExclude: readonly string[];
  readonly dnsServers: readonly string[];
  readonly defaultDomain: string | undefined;
  readonly splitDns: readonly string[];
  readonly mtu: number | undefined;
  readonly udp: boolean;
  readonly banner: string | undefined;
  readonly timeouts: GroupTimeouts;
  readonly upBytesPerSecond: number;
  readonly downBytesPerSecond: number;
  readonly sessionsPerUser: number;
  /** Whether the access log has a line for each flow that is let through. */
  readonly logFlows: boolean;
}

/** Zero is off, or without end. */
export interface GroupTimeouts {
  readonly idleSeconds: number;
  readonly sessionSeconds: number;
  readonly disconnectedSeconds: number;
  readonly dpdSeconds: number;
  readonly mobileDpdSeconds: number;
  readonly keepaliveSeconds: number;
  readonly rekeySeconds: number;
}

export interface BanRules {
  readonly failurePoints: number;
  readonly banAtPoints: number;
  readonly banSeconds: number;
  readonly halfLifeSeconds: number;
}

/** Without groups nobody can log in. */
export const NO_VPN: VpnRules = {
  groups: [],
  bans: { failurePoints: 10, banAtPoints: 80, banSeconds: 1_200, halfLifeSeconds: 300 },
};

/** The built-in authenticator: the certificate that the TLS connection shows. */
export const CERTIFICATE = "certificate";

/** The group of this name or label, without regard to case. */
export function groupNamed(rules: VpnRules, name: string): VpnGroup | undefined {
  const wanted = name.toLowerCase();
  return (
    rules.groups.find((group) => group.name.toLowerCase() === wanted) ??
    rules.groups.find((group) => group.label.toLowerCase() === wanted)
  );
}
