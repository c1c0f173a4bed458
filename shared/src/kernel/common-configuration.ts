import { z } from "zod";
import {
  addressKey,
  authorityFileKey,
  fileKey,
  pathKey,
  portKey,
  proxyKey,
} from "./configuration-keys.ts";

/** Keys that a connector's local configuration file has whatever the service. */
export const commonConfiguration = z.strictObject({
  /** Everything the service writes: key, store, lock, control socket. */
  stateFolder: pathKey(),
  /** How to reach the control plane; where it is comes from the enrolment. */
  cloud: z
    .strictObject({
      caFile: authorityFileKey().optional(),
      proxy: proxyKey().optional(),
      transport: z.enum(["websocket", "long-poll", "auto"]).default("auto"),
    })
    .prefault({}),
  /** Present: no control plane; the desired configuration is a local file that is watched. */
  standalone: z.strictObject({ desiredConfigurationFile: fileKey() }).optional(),
  guardrailsFile: fileKey().optional(),
  /** Refuse to start where the guardrails file is missing or could be written by this process. */
  strict: z.boolean().default(false),
  health: z
    .strictObject({ address: addressKey().default("127.0.0.1"), port: portKey() })
    .default({ address: "127.0.0.1", port: 0 }),
  log: z
    .strictObject({
      level: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
    })
    .default({ level: "info" }),
});
export type CommonConfiguration = z.infer<typeof commonConfiguration>;
