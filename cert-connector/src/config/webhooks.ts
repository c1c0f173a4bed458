import { fileKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";
import { localName } from "./names.ts";

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** https, or http where nothing but this machine hears it. */
const webhookUrl = z
  .url({ protocol: /^https?$/ })
  .max(2_048)
  .refine(isProtected, "is not encrypted: http is for loopback only")
  .refine((text) => !text.includes("@"), "holds credentials");

const webhook = z.strictObject({
  /** Asked whether a device may have a certificate. */
  url: webhookUrl,
  /** Told what came of it, before the device is. */
  notifyUrl: webhookUrl.optional(),
  /** The key of the signature: any text, or `whsec_` and base64 as Standard Webhooks has it. */
  secretFile: secretFileKey(),
  timeoutMs: z.number().int().min(100).max(30_000).default(5_000),
  retries: z.number().int().min(0).max(5).default(2),
  caFile: fileKey().optional(),
});

/** Web services by name that a profile may have its challenges checked by. */
export const webhooks = z.record(localName, webhook).default({});

function isProtected(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === "https:" || (url !== null && LOOPBACK.test(url.hostname));
}
