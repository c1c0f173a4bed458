import { z } from "zod";

/** Own limits. Microsoft Tunnel allows 500 split rules in all. */
const MAX_GROUPS = 200;
const MAX_ROUTES = 5_000;
const cidr = z.string().min(2).max(64);
const seconds = (least: number, most: number) => z.number().int().min(least).max(most);
const domain = z.string().regex(/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?$/);
const address = z.union([z.ipv4(), z.ipv6()]);

const timeouts = z.strictObject({
  /** No user traffic for this long ends the session; 0 never does. */
  idleSeconds: seconds(0, 2_592_000).default(0),
  /** Longest life of a session, from its login; 0 is without end. */
  sessionSeconds: seconds(0, 31_536_000).default(86_400),
  /** How long a session without a connection keeps its address and cookie. */
  disconnectedSeconds: seconds(10, 604_800).default(3_600),
  /** Dead peer detection; phones sleep, so theirs is longer. */
  dpdSeconds: seconds(5, 3_600).default(90),
  mobileDpdSeconds: seconds(5, 86_400).default(1_800),
  keepaliveSeconds: seconds(0, 86_400).default(300),
  /** The client makes a new tunnel (new keys) this often; some clients fail without. Minutes are for trials of a client. */
  rekeySeconds: seconds(10, 604_800).default(86_400),
});

const group = z.strictObject({
  /** What the client calls `group-access` or selects from the list. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  /** What users see; the name unless given. */
  label: z.string().min(1).max(128).optional(),
  /**
   * Any one of these lists, all of whose authenticators must agree on the user. Names stand in the local configuration;
   * `certificate` is a client certificate of a trust anchor.
   */
  authentication: z
    .array(z.array(z.string().min(1).max(64)).min(1).max(4))
    .min(1)
    .max(8),
  /** Whether a known, compliant device has to stand behind the session. Off, a user alone is enough. */
  requireDevice: z.boolean().default(true),
  /** Who may choose the group, by groups of the device's state or the authenticator; everyone unless given. */
  members: z.array(z.string().min(1).max(128)).min(1).max(100).optional(),
  /** Added to the groups by which policies are chosen. */
  policyGroups: z.array(z.string().min(1).max(128)).max(100).default([]),
  /** Whose addresses its sessions get: a pool of the local configuration; those of no pool unless given. */
  pool: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,49}$/)
    .optional(),
  /** Networks that go through the tunnel; all where empty. */
  routesInclude: z.array(cidr).max(MAX_ROUTES).default([]),
  routesExclude: z.array(cidr).max(MAX_ROUTES).default([]),
  dnsServers: z.array(address).max(8).default([]),
  defaultDomain: domain.optional(),
  /** Names that go to the tunnel's DNS servers; all where empty. */
  splitDns: z.array(domain).max(500).default([]),
  /** Most that an inner packet may have; what fits the path unless given. */
  mtu: z.number().int().min(576).max(1_500).optional(),
  /** Whether DTLS is offered. */
  udp: z.boolean().default(true),
  banner: z.string().max(1_000).optional(),
  timeouts: timeouts.prefault({}),
  /** Bytes per second of each session; 0 is without limit. */
  upBytesPerSecond: z.number().int().min(0).max(1e12).default(0),
  downBytesPerSecond: z.number().int().min(0).max(1e12).default(0),
  /** Sessions of one user at once. */
  sessionsPerUser: z.number().int().min(1).max(10_000).default(8),
  /** Whether the access log has a line for each flow that is let through. */
  logFlows: z.boolean().default(false),
});

/** Points per address and per account; past the limit, nothing is asked of an authenticator until they have run out. */
const bans = z.strictObject({
  failurePoints: z.number().int().min(1).max(1_000).default(10),
  banAtPoints: z.number().int().min(1).max(100_000).default(80),
  banSeconds: seconds(1, 604_800).default(1_200),
  /** How fast points run out. */
  halfLifeSeconds: seconds(1, 604_800).default(300),
});

/** The VPN's part of the desired configuration. Its policies are those of the relay. */
export const vpnConfiguration = z.strictObject({
  /** The first is the default. Without groups nobody can log in. */
  groups: z.array(group).max(MAX_GROUPS).default([]),
  bans: bans.prefault({}),
  /** Asked every five minutes, for health: whether the internal network answers. */
  internalNetworkProbeUrl: z
    .url({ protocol: /^https?$/ })
    .max(2_048)
    .optional(),
});
