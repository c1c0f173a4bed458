import { fileKey, pathKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";

/** Own limit: each is a health check. */
const MAX_AUTHENTICATORS = 32;
/** Own limit: each is a few rules of the firewall's, and a label of metrics. */
const MAX_POOLS = 32;

const cidr = z.string().min(2).max(64);
const seconds = (least: number, most: number, otherwise: number) =>
  z.number().int().min(least).max(most).default(otherwise);

/** Names and password hashes in a file; for closed networks and emergencies. */
const users = z.strictObject({ type: z.literal("users"), file: secretFileKey() });

/** One-time passwords (RFC 6238) of users that another authenticator has named. */
const totp = z.strictObject({ type: z.literal("totp"), file: secretFileKey() });

const ldap = z
  .strictObject({
    type: z.literal("ldap"),
    /** `ldaps://`, or `ldap://` with `startTls`. */
    url: z.url({ protocol: /^ldaps?$/ }).max(512),
    startTls: z.boolean().default(false),
    caFile: fileKey().optional(),
    /** The account that searches. */
    bindDn: z.string().min(1).max(512),
    passwordFile: secretFileKey(),
    baseDn: z.string().min(1).max(512),
    /** `{user}` is what the user typed, escaped. */
    userFilter: z
      .string()
      .max(1_024)
      .includes("{user}", "has no {user}: every name would be the same user")
      .default("(|(userPrincipalName={user})(sAMAccountName={user})(uid={user}))"),
    userNameAttribute: z.string().max(64).default("userPrincipalName"),
    groupAttribute: z.string().max(64).default("memberOf"),
    timeoutSeconds: seconds(1, 60, 10),
  })
  .refine(({ url, startTls }) => startTls || url.startsWith("ldaps:"), {
    path: ["url"],
    message: "passwords would travel in the clear: use ldaps:// or startTls",
  });

const radius = z.strictObject({
  type: z.literal("radius"),
  servers: z
    .array(
      z.strictObject({
        host: z.string().min(1).max(255),
        port: z.number().int().min(1).max(65_535).default(1_812),
      }),
    )
    .min(1)
    .max(4),
  secretFile: secretFileKey(),
  nasIdentifier: z.string().min(1).max(253).default("isthmus"),
  timeoutSeconds: seconds(1, 60, 5),
  retries: z.number().int().min(0).max(5).default(2),
  /** Refuse answers without Message-Authenticator (CVE-2024-3596). */
  requireMessageAuthenticator: z.boolean().default(true),
});

const oidc = z.strictObject({
  type: z.literal("oidc"),
  issuer: z.url({ protocol: /^https?$/ }).max(512),
  clientId: z.string().min(1).max(256),
  clientSecretFile: secretFileKey().optional(),
  caFile: fileKey().optional(),
  /** Accepted `aud` of bearer tokens; the client id unless given. */
  audiences: z.array(z.string().min(1).max(256)).min(1).max(16).optional(),
  scopes: z.array(z.string().min(1).max(128)).max(16).default(["openid", "profile", "email"]),
  userNameClaim: z.string().min(1).max(64).default("preferred_username"),
  groupsClaim: z.string().min(1).max(64).default("groups"),
  timeoutSeconds: seconds(1, 60, 10),
});

const interfaceName = z
  .string()
  .regex(/^[A-Za-z0-9_.:@-]{1,15}$/, "expected the name of an interface");

/** `masquerade`: the address of the way out; `none`: the client's own; or an address that leads back to the gateway. */
const sourceAddress = z.string().min(2).max(64);

/** A part of the clients' addresses, which groups of the desired configuration name; what no pool has is for all others. */
const pool = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,49}$/),
  /** IPv4, within `network`; the same slots of `ipv6Network` go with them. */
  networks: z.array(cidr).min(1).max(64),
  /** Groups, of which an authenticator has to say that the user is in one, whatever group of the VPN names the pool. */
  members: z.array(z.string().min(1).max(512)).min(1).max(100).optional(),
  /** As `nat.masquerade` says unless given. */
  sourceAddress: sourceAddress.optional(),
  ipv6SourceAddress: sourceAddress.optional(),
});

const authenticatorConfiguration = z.discriminatedUnion("type", [users, totp, ldap, radius, oidc]);

/** The VPN's part of the local configuration file; without it the gateway serves the relay alone. */
export const vpnLocalConfiguration = z.strictObject({
  /** Addresses of clients; the first of every tunnel's slice is the gateway's own. Not 169.254.0.0/16. */
  network: cidr,
  ipv6Network: cidr.optional(),
  pools: z.array(pool).max(MAX_POOLS).default([]),
  /** TUN devices `<name>0`, `<name>1`, ... made by `host-setup`; one packet thread each, a power of two. */
  tunnels: z
    .strictObject({
      name: z
        .string()
        .regex(/^[a-z][a-z0-9]{0,11}$/)
        .default("isthmus"),
      count: z
        .number()
        .int()
        .min(1)
        .max(64)
        .refine((n) => (n & (n - 1)) === 0, "expected a power of two")
        .default(2),
    })
    .prefault({}),
  /** Whether the UDP port is opened; a group can leave it out for itself. */
  udp: z.boolean().default(true),
  /**
   * Server names (SNI) under which the relay is reached on the same port. Without any, clients of HTTP/2 are taken for the
   * relay's, unless there is an OpenID authenticator, whose sign-in pages browsers open over HTTP/2 as well.
   */
  relayServerNames: z.array(z.string().min(1).max(253)).max(16).default([]),
  /** Load balancers that send a PROXY protocol header. */
  proxyProtocolFrom: z.array(cidr).max(100).default([]),
  authenticators: z
    .record(
      z
        .string()
        .regex(/^[a-z0-9][a-z0-9-]{0,49}$/)
        .refine((name) => name !== "certificate", "certificate is built in"),
      authenticatorConfiguration,
    )
    .refine((all) => Object.keys(all).length <= MAX_AUTHENTICATORS, "expected at most 32")
    .default({}),
  /**
   * Domains that a user name may be given without: `alice` is then the same user as `alice@<domain>`, where two authenticators
   * have to agree, and for counting.
   */
  userNameDomains: z.array(z.string().min(1).max(253)).max(32).default([]),
  /** The AnyConnect profile (XML) that clients fetch. */
  profileFile: pathKey().optional(),
  /** What `host-setup` does about addresses leaving the gateway. */
  nat: z
    .strictObject({
      /** Translate client addresses to the gateway's own on the way out; off where routes lead back to `network`. */
      masquerade: z.boolean().default(true),
      /** Interfaces to the internal network, alone let through to and from clients; all but the tunnels unless given. */
      interfaces: z.array(interfaceName).min(1).max(16).optional(),
      /** What becomes of packets that are neither from a client nor to one, which forwarding lets through as well. */
      otherTraffic: z.enum(["drop", "leave"]).default("drop"),
    })
    .prefault({}),
});
export type VpnLocalConfiguration = z.infer<typeof vpnLocalConfiguration>;
