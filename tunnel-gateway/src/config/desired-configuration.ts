import { deviceState } from "@isthmus/shared/link/messages";
import { z } from "zod";
import { vpnConfiguration } from "./vpn-configuration.ts";

/** Our own limits on one configuration. */
const MAX_POLICIES = 1_000;
const MAX_RULES = 1_000;
const MAX_DESTINATIONS = 1_000;
const MAX_PORTS = 100;
const MAX_LISTED_DEVICES = 10_000;

/** Names appear as `policy/rule` in a header field, in logs and in the audit. */
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$/);
const minutes = (least: number, most: number) => z.number().int().min(least).max(most);
const WEEK_MINUTES = 10_080;

const port = z.number().int().min(1).max(65_535);
const portRange = z.string().regex(/^[1-9]\d{0,4}(-[1-9]\d{0,4})?$/, "expected 443 or 8000-8100");
const ports = z
  .array(z.union([port, portRange]))
  .min(1)
  .max(MAX_PORTS);

const place = {
  name: z.string().min(1).max(253).optional(),
  cidr: z.string().min(2).max(64).optional(),
};
const isOnePlace = (at: { readonly name?: unknown; readonly cidr?: unknown }) =>
  (at.name === undefined) !== (at.cidr === undefined);
const EITHER = "needs either name or cidr";

/** One exact host name, or one network such as `10.0.0.0/8` or a single address; exactly one of the two. */
export const destinationSchema = z.strictObject({ ...place, ports }).refine(isOnePlace, EITHER);
const ruleDestination = z
  .strictObject({ ...place, ports: ports.optional() })
  .refine(isOnePlace, EITHER);

const protocol = z.enum(["tcp", "udp", "icmp", "any"]);

const rule = z
  .strictObject({
    name,
    action: z.enum(["allow", "deny"]),
    /**
     * For packets of the VPN; the relay is TCP, and rules for `udp` and `icmp` say nothing to it. Without one, `allow` opens
     * TCP and UDP on the ports, `deny` closes them for every protocol. `any` is every protocol, those without ports too where
     * the destination names no ports. `icmp` is ICMP and ICMPv6, and names none. Destinations by `name` hold for the relay
     * alone: packets carry addresses.
     */
    protocol: protocol.optional(),
    destinations: z.array(ruleDestination).min(1).max(MAX_DESTINATIONS),
  })
  .superRefine((value, context) => {
    for (const [index, { ports: named }] of value.destinations.entries()) {
      const path = ["destinations", index, "ports"];
      const isPortless = value.protocol === "icmp" || value.protocol === "any";
      if (named === undefined && !isPortless) {
        context.addIssue({ code: "custom", path, message: "needs ports, or protocol any or icmp" });
      }
      if (named !== undefined && value.protocol === "icmp") {
        context.addIssue({ code: "custom", path, message: "icmp has no ports" });
      }
    }
  });

const policy = z.strictObject({
  name,
  /** Groups of the device's state; `*` is every known device. */
  groups: z.array(z.string().min(1).max(128)).min(1).max(100),
  rules: z.array(rule).max(MAX_RULES),
});

const devices = z.strictObject({
  /** `cloud`: states come as commands and are kept. `list`: they stand here. */
  source: z.enum(["cloud", "list"]).default("cloud"),
  list: z.array(deviceState).max(MAX_LISTED_DEVICES).default([]),
  /** States count as current this long after the cloud was last reached; then for the grace, with a warning. */
  maximumAgeMinutes: minutes(1, WEEK_MINUTES).default(60),
  graceMinutes: minutes(0, 4 * WEEK_MINUTES).default(1_440),
});

const revocation = z
  .strictObject({
    /** How often lists are fetched, and answers about open connections. */
    refreshMinutes: minutes(1, 1_440).default(10),
    /** Older than this is a warning, older than the second denies new connections. */
    softAgeMinutes: minutes(1, WEEK_MINUTES).default(60),
    hardAgeMinutes: minutes(1, 4 * WEEK_MINUTES).default(1_440),
  })
  .refine((ages) => ages.softAgeMinutes <= ages.hardAgeMinutes, {
    path: ["softAgeMinutes"],
    error: "exceeds hardAgeMinutes",
  });

const limits = z.strictObject({
  connections: z.number().int().min(1).max(1_000_000).default(10_000),
  connectionsPerDevice: z.number().int().min(1).max(100_000).default(256),
  /** A connection on which nothing moved either way for this long ends. */
  idleSeconds: z.number().int().min(10).max(86_400).default(900),
  /** Likewise once one side has ended its half. */
  halfClosedIdleSeconds: z.number().int().min(1).max(86_400).default(60),
  /** For resolving a name, and for connecting to all its addresses. */
  connectSeconds: z.number().int().min(1).max(120).default(10),
});

/** How much the access log says of people, from least to most. */
export const accessLogDetail = z.enum(["pseudonymous", "standard", "full"]);

const accessLog = z.strictObject({
  /** What it says of people: nothing but pseudonyms, who, or who and where to. Left out, who, or less where the host says so. */
  detail: accessLogDetail.optional(),
});

/** The desired configuration of a gateway, from the cloud or from the standalone file. */
export const desiredConfiguration = z.strictObject({
  policies: z.array(policy).max(MAX_POLICIES).default([]),
  devices: devices.prefault({}),
  revocation: revocation.prefault({}),
  limits: limits.prefault({}),
  accessLog: accessLog.prefault({}),
  vpn: vpnConfiguration.prefault({}),
});
export type DesiredConfiguration = z.infer<typeof desiredConfiguration>;
