import { fileKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";
import { localName } from "./names.ts";

/** Our own limits. An order is given up before another replica may ask again, which is after a minute. */
const MAX_URLS = 4;
const MAX_TIMEOUT_MS = 20_000;

const LOOPBACK = /^(127(\.\d{1,3}){3}|\[::1\]|localhost)$/;

/** An address of TLS, or one on this machine: what is sent there is a credential. */
export const protectedUrl = z
  .url({ protocol: /^https?$/ })
  .max(512)
  .refine(isProtected, "has to be https, except on this machine");

/** An address where the messages protect themselves. */
export const plainUrl = z.url({ protocol: /^https?$/ }).max(512);

function isProtected(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol !== "http:" || LOOPBACK.test(url.hostname);
}

/** What every certification authority elsewhere has, whatever its kind; `url` is the form of its addresses. */
export function remoteAuthorityKeys(url: z.ZodType<string>) {
  return {
    /** Further names for profiles: work goes to the first authority of a label that can be reached. */
    labels: z.array(localName).max(16).default([]),
    /** Addresses of one authority, e.g. of its nodes. The next is tried where one cannot be connected to. */
    urls: z.array(url).min(1).max(MAX_URLS),
    /** PEM: whom to trust for TLS, and nobody else; what the system trusts where absent. */
    caFile: fileKey().optional(),
    /** PEM: the issuing CA's certificate first, then the way to its root. */
    issuerFile: fileKey(),
    timeoutMs: z.number().int().min(1_000).max(MAX_TIMEOUT_MS).default(15_000),
    /** How often its health is asked for. */
    probeSeconds: z.number().int().min(5).max(3_600).default(30),
  };
}

/** A certificate with its key, for TLS or for signing messages. */
export const identityFiles = z.strictObject({
  certificateFile: fileKey(),
  keyFile: secretFileKey(),
});
