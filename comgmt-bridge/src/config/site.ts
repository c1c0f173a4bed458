import { isIP } from "node:net";
import { authorityFileKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";

const MIB = 1_048_576;

/** Only the origin: which of the service's paths is asked follows from how we authenticate. */
const providerUrl = z
  .url({ protocol: /^https$/, error: "has to be https://FQDN or https://FQDN:PORT" })
  .max(2_048)
  .refine(isOrigin, "has to be https://FQDN or https://FQDN:PORT and nothing behind it");

/** Documented: 5,000 requests a second for a provider and 200 for one client; ours leave room for the console. */
const limits = z.strictObject({
  /** Two at least: one place is for commands alone. */
  maxInFlight: z.int().min(2).max(64).default(4),
  requestsPerSecond: z.int().min(1).max(200).default(50),
  connectTimeoutMs: z.int().min(100).max(10_000).default(5_000),
  firstByteTimeoutMs: z.int().min(100).max(300_000).default(30_000),
  timeoutMs: z.int().min(100).max(600_000).default(120_000),
  maxAnswerBytes: z
    .int()
    .min(65_536)
    .max(256 * MIB)
    .default(64 * MIB),
  pageRows: z.int().min(1).max(100_000).default(2_000),
  retries: z.int().min(0).max(5).default(2),
  breakerFailures: z.int().min(1).max(100).default(5),
  breakerOpenMs: z.int().min(100).max(300_000).default(15_000),
});

const kerberos = z.strictObject({
  /** `isthmus@CORP.EXAMPLE`. */
  principal: z.string().regex(/^[^@\s]{1,256}@[^@\s]{1,256}$/, "has to be NAME@REALM"),
  keytabFile: secretFileKey(),
  /** Off only where something else ends TLS in front of the provider. */
  channelBinding: z.boolean().default(true),
});

/** The Configuration Manager site: one SMS provider's AdminService and how we show it who we are. */
export const site = z
  .strictObject({
    url: providerUrl,
    siteCode: z.string().regex(/^[A-Z0-9]{3}$/, "has to be three letters and digits, in capitals"),
    /** A bearer token that something else renews; the file is read for each request. */
    tokenFile: secretFileKey().optional(),
    kerberos: kerberos.optional(),
    /** The "SMS Issuing" root, where the site made the provider's certificate. */
    caFile: authorityFileKey().optional(),
    /** The key of a certificate that has to be in the provider's chain. */
    pin: z
      .string()
      .regex(/^sha256\/[A-Za-z0-9+/]{43}=$/, "has to be sha256/ and 32 bytes in base64")
      .optional(),
    limits: limits.prefault({}),
    /** How the site writes the SHA-256 over the parameters of a script; implementations in public differ. */
    scriptParameterHash: z.enum(["lower", "upper"]).default("lower"),
  })
  .superRefine((given, context) => {
    if ((given.tokenFile === undefined) === (given.kerberos === undefined)) {
      const message = "either tokenFile or kerberos has to be given";
      context.addIssue({ code: "custom", path: ["tokenFile"], message });
    }
    if (given.kerberos !== undefined && isAddress(given.url)) {
      const message = "has to name the provider, as its ticket does: an address has none";
      context.addIssue({ code: "custom", path: ["url"], message });
    }
  });

export type SiteConfiguration = z.infer<typeof site>;

function isAddress(url: string): boolean {
  return isIP(new URL(url).hostname.replace(/^\[|\]$/g, "")) !== 0;
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return false;
  return url.pathname === "/" && url.search === "" && url.hash === "";
}
