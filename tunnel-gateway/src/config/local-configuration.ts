import {
  addressKey,
  fileKey,
  pathKey,
  portKey,
  secretFileKey,
} from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";
import { vpnLocalConfiguration } from "./vpn-local-configuration.ts";

const url = (protocol: RegExp) => z.url({ protocol }).max(2_048);
const cidr = z.string().min(2).max(64);
const portRange = z.string().regex(/^[1-9]\d{0,4}(-[1-9]\d{0,4})?$/, "expected 443 or 8000-8100");
const ports = z
  .array(z.union([z.number().int().min(1).max(65_535), portRange]))
  .min(1)
  .max(100);

/** Where a CA publishes a revocation list: fetched over HTTP, or written to a file by other means. */
const listSource = z
  .strictObject({ url: url(/^https?$/).optional(), file: pathKey().optional() })
  .refine(
    (source) => (source.url === undefined) !== (source.file === undefined),
    "needs either url or file",
  );

const trustAnchor = z.strictObject({
  /** PEM: the CAs that issue to devices, and every CA above them up to the self-signed root. */
  file: fileKey(),
  /** What certificates of these CAs are believed to say. */
  mayAssert: z
    .array(z.enum(["deviceId", "userPrincipalName", "sid"]))
    .min(1)
    .default(["deviceId", "userPrincipalName", "sid"]),
  /** What stands before the device id in a SAN URI. */
  deviceIdPrefix: z.string().min(1).max(128).default("urn:isthmus:device:"),
  crl: z.union([listSource, z.array(listSource).min(1).max(16)]).optional(),
  ocsp: z.strictObject({ url: url(/^https?$/) }).optional(),
});

const exception = z.union([cidr, z.strictObject({ cidr, ports })]);

/** Own keys of a gateway's local configuration file: what the cloud has no say in. */
export const localConfiguration = z.strictObject({
  listen: z
    .strictObject({ address: addressKey().default("0.0.0.0"), port: portKey().default(8_443) })
    .prefault({}),
  /** The gateway's own certificate (leaf first, then its chain) and key, PEM; watched and reloaded. */
  tls: z.strictObject({ certificateFile: fileKey(), keyFile: secretFileKey() }),
  trustAnchors: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/), trustAnchor)
    .refine((anchors) => Object.keys(anchors).length > 0, "needs at least one trust anchor"),
  /** Exceptions to the addresses that the gateway never connects to, e.g. `"127.0.0.1/32"`, with ports where given. */
  allowedInternal: z.array(exception).max(100).default([]),
  /** Networks that administer the gateway; never reachable through it. */
  controlNetwork: z.array(cidr).max(100).default([]),
  resolver: z
    .strictObject({
      /** Names answered here and not asked elsewhere. */
      hosts: z.record(z.string(), z.union([z.ipv4(), z.ipv6()])).default({}),
      /** Servers to ask, `address` or `address:port`; those of the system unless given. */
      servers: z.array(z.string().min(1).max(64)).min(1).max(8).optional(),
    })
    .prefault({}),
  /** Bounds on connections that no device stands behind yet. */
  admission: z
    .strictObject({
      pending: z.number().int().min(1).max(100_000).default(1_024),
      pendingPerAddress: z.number().int().min(1).max(100_000).default(64),
      /** Handshakes with the relay that may fail within a minute before an address is turned away for a while. */
      failuresPerAddress: z.number().int().min(1).max(100_000).default(15),
      /** For the TLS handshake, and once more for the request head. */
      handshakeSeconds: z.number().int().min(1).max(120).default(10),
    })
    .prefault({}),
  vpn: vpnLocalConfiguration.optional(),
});
export type LocalConfiguration = z.infer<typeof localConfiguration>;
