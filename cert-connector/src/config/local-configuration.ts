import { addressKey, portKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";
import { authorities } from "./authorities.ts";
import { ca } from "./ca.ts";
import { database } from "./database.ts";
import { directories } from "./directories.ts";
import { localName } from "./names.ts";
import { shadow } from "./shadow.ts";
import { tenants } from "./tenants.ts";
import { webhooks } from "./webhooks.ts";

/** The keys of this service in its local file, beside those every connector has. Relative paths start at the file. */
export const localConfiguration = z.object({
  /** SCEP, CRL, OCSP and CA certificates, in plain HTTP: all of them are signed or encrypted by themselves. */
  listen: z
    .strictObject({
      address: addressKey().default("0.0.0.0"),
      port: portKey().default(8081),
    })
    .prefault({}),
  ca,
  /** Static challenges by name; the cloud's configuration can only refer to these names. */
  secrets: z.record(localName, z.strictObject({ file: secretFileKey() })).default({}),
  database,
  authorities,
  tenants,
  webhooks,
  directories,
  shadow,
  /** Worker threads that open envelopes (an RSA private operation each, about 0.6 ms); 0 opens them on the main thread. */
  envelopeThreads: z.number().int().min(0).max(64).default(1),
});

export type LocalConfiguration = z.infer<typeof localConfiguration>;
