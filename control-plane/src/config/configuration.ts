import {
  addressKey,
  fileKey,
  pathKey,
  portKey,
  secretFileKey,
} from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";
import { inventoryQuotaKeys } from "./inventory-quota-keys.ts";

const DEFAULT_PORT = 8_080;
const MAX_NAMES = 50;
const MAX_KEPT_DAYS = 3_650;
const keptDays = z.number().int().min(1).max(MAX_KEPT_DAYS);

/** The levels of pino. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

const hostName = z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, "is no host name or address");

/** The local configuration file of the control plane. */
export const configuration = z.strictObject({
  /** Everything the control plane writes: store, CA, first password. */
  stateFolder: pathKey(),
  listen: z
    .strictObject({
      address: addressKey().default("127.0.0.1"),
      port: portKey().default(DEFAULT_PORT),
    })
    .prefault({}),
  tls: z
    .strictObject({
      /** A certificate chain and its key, read again when they change. Without them a CA of its own is made. */
      certificateFile: fileKey().optional(),
      keyFile: secretFileKey().optional(),
      /** The CA that connectors need to know for `certificateFile`; left out for a public one. */
      caFile: fileKey().optional(),
      /** Names and addresses in the certificate of the own CA. */
      names: z.array(hostName).min(1).max(MAX_NAMES).default(["localhost", "127.0.0.1"]),
    })
    .prefault({})
    .refine(
      (tls) => (tls.certificateFile === undefined) === (tls.keyFile === undefined),
      "certificateFile and keyFile stand together",
    )
    .refine(
      (tls) => tls.caFile === undefined || tls.certificateFile !== undefined,
      "caFile stands with certificateFile",
    ),
  /** As connectors and administrators reach it; `https://localhost:<port>` without. */
  publicUrl: z
    .url({ protocol: /^https$/ })
    .refine(
      (url) => new URL(url).pathname === "/",
      "has a path: the control plane stands at the root",
    )
    .transform((url) => new URL(url).origin)
    .optional(),
  /** A signer that somebody else runs. Without it `run` starts one and keeps it running. */
  signer: z.strictObject({ socket: pathKey() }).optional(),
  health: z
    .strictObject({ address: addressKey().default("127.0.0.1"), port: portKey().default(0) })
    .prefault({}),
  /** What bridges tell of devices. */
  inventory: z
    .strictObject({
      /** How long former values, devices that are gone and what happened to sources are kept. */
      historyDays: keptDays.default(365),
      /** How long the timelines of devices are kept. */
      timelineDays: keptDays.default(90),
      quota: inventoryQuotaKeys,
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(LOG_LEVELS).default("info"),
    })
    .prefault({}),
});
export type Configuration = z.infer<typeof configuration>;
