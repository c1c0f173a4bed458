import { fileKey, proxyKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";
import { localName } from "./names.ts";

/** An https origin: no path, no query, no credentials. */
const origin = z
  .url({ protocol: /^https$/ })
  .max(512)
  .refine((url) => URL.parse(url)?.origin === url, "an https origin without a slash at its end")
  .describe("e.g. https://login.microsoftonline.com");
const hostName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, "a host name in lower case");

const secret = z.strictObject({
  kind: z.literal("secret"),
  file: secretFileKey(),
  /** The day on which Microsoft Entra ID stops taking it: warned of in time. */
  expiresOn: z.iso.date().optional(),
});
const certificate = z.strictObject({
  kind: z.literal("certificate"),
  /** PEM or DER; the same that is registered with the application. */
  certificateFile: fileKey(),
  /** Its RSA key, PKCS#8 in PEM. */
  keyFile: secretFileKey(),
  passphraseFile: secretFileKey().optional(),
  algorithm: z.enum(["PS256", "RS256"]).default("PS256"),
});
/** A token of another identity provider, e.g. of Kubernetes, that the application trusts. Read again each time. */
const federated = z.strictObject({ kind: z.literal("federated"), tokenFile: secretFileKey() });

/** The public cloud; others (US government, China) and simulators are named here, never by the cloud's configuration. */
const hosts = z
  .strictObject({
    login: origin.default("https://login.microsoftonline.com"),
    graph: origin.default("https://graph.microsoft.com"),
    /** The resource that tokens are for. */
    intune: origin.default("https://api.manage.microsoft.com"),
    /** Services that discovery names have to be at these hosts or below them. */
    allowed: z.array(hostName).min(1).max(20).default(["manage.microsoft.com"]),
  })
  .prefault({});

const tenant = z.strictObject({
  /** The directory (tenant) id, or one of its domains. */
  tenantId: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,253}$/),
  /** The application (client) id. */
  clientId: z.guid(),
  credential: z.discriminatedUnion("kind", [secret, certificate, federated]),
  hosts,
  /** CAs of a proxy that breaks TLS open, or of a simulator. */
  caFile: fileKey().optional(),
  proxy: proxyKey().optional(),
  /** For one HTTP request; three of them have to end before another replica takes a notification over. */
  timeoutMs: z.number().int().min(1_000).max(25_000).default(10_000),
  /** Revocations that Intune asks for, e.g. when a device is wiped or a profile no longer applies. */
  revocations: z
    .strictObject({
      isEnabled: z.boolean().default(true),
      everySeconds: z.number().int().min(1).max(86_400).default(300),
      maxRequests: z.number().int().min(1).max(500).default(500),
      /** Only requests about this issuer, as the success notification named it. */
      issuerName: z.string().min(1).max(1_024).optional(),
    })
    .prefault({}),
});

/** Microsoft Intune tenants by name, for profiles whose challenges Intune validates. */
export const tenants = z.record(localName, tenant).default({});

export type TenantConfiguration = z.infer<typeof tenant>;
