import { z } from "zod";
import { localName } from "./names.ts";

/** Our own limits on a desired configuration. */
const MAX_PROFILES = 100;
const MAX_TEMPLATE_LENGTH = 512;
const MAX_VALIDITY_DAYS = 825;

/** Key usages an end entity may have (RFC 5280 section 4.2.1.3); those of a CA are not offered. */
const KEY_USAGES = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
] as const;

/** Extended key usages by name; anyExtendedKeyUsage, OCSPSigning and timeStamping are not offered, nor their OIDs. */
const EXTENDED_KEY_USAGES = [
  "clientAuth",
  "serverAuth",
  "emailProtection",
  "smartcardLogon",
  "ipsecIke",
] as const;

const identifier = localName;
const template = z.string().min(1).max(MAX_TEMPLATE_LENGTH);
const altNameType = z.enum(["uri", "dns", "email", "upn"]);

/** A one-time challenge signed by the control plane (or, standalone, by this connector's own challenge key). */
const signedChallenge = z.strictObject({ kind: z.literal("signed") });
/**
 * One password for all, for closed networks. It proves no device: a device id is put into the certificate only where
 * `deviceId` says that the common name of the request is believed.
 */
const staticChallenge = z.strictObject({
  kind: z.literal("static"),
  secretName: identifier,
  deviceId: z.enum(["none", "requestedCommonName"]).default("none"),
});
/** Microsoft Intune validates it, and the certification request by its own profile. */
const intuneChallenge = z.strictObject({
  kind: z.literal("intune"),
  tenant: identifier,
  deviceId: z.enum(["none", "requestedCommonName"]).default("none"),
});
/** A web service of the organisation says who the device is. */
const webhookChallenge = z.strictObject({ kind: z.literal("webhook"), name: identifier });

const profile = z.strictObject({
  id: identifier,
  /** The last segment of `/scep/<scepPath>`; the profile's id where absent. */
  scepPath: identifier.optional(),
  /** Served under `/certsrv/mscep/mscep.dll` too, where clients configured for NDES look. One profile at most. */
  ndesPath: z.boolean().default(false),
  /** An authority's name, or a label that several carry: the first of them that is reachable signs. */
  ca: identifier.default("embedded"),
  /** `fromChallenge`, or a template in RFC 4514 with variables, e.g. `CN={{deviceId}},O=Example`. */
  subject: z
    .union([z.literal("fromChallenge"), z.strictObject({ template })])
    .default("fromChallenge"),
  /** Added to every certificate, beside the device id and the user principal name. */
  subjectAltNames: z
    .array(z.strictObject({ type: altNameType, template }))
    .max(20)
    .default([]),
  /** Which kinds of name the challenge may bring. */
  challengeSubjectAltNames: z.array(altNameType).max(4).default(["uri", "dns", "email", "upn"]),
  keyUsage: z
    .array(z.enum(KEY_USAGES))
    .min(1)
    .max(KEY_USAGES.length)
    .default(["digitalSignature", "keyEncipherment"]),
  extendedKeyUsage: z
    .array(z.enum(EXTENDED_KEY_USAGES))
    .min(1)
    .max(EXTENDED_KEY_USAGES.length)
    .default(["clientAuth"]),
  validityDays: z.number().int().min(1).max(MAX_VALIDITY_DAYS).default(365),
  /** A renewal is accepted once this share of the validity is left, or less. 100 accepts it at any time. */
  renewalWindowPercent: z.number().int().min(1).max(100).default(20),
  keyFloor: z
    .strictObject({
      rsaBits: z.number().int().min(2048).max(8192).default(2048),
      curves: z.array(z.enum(["P-256", "P-384", "P-521"])).default(["P-256", "P-384"]),
    })
    .prefault({}),
  challenge: z
    .discriminatedUnion("kind", [
      signedChallenge,
      staticChallenge,
      intuneChallenge,
      webhookChallenge,
    ])
    .default({ kind: "signed" }),
  /**
   * The account that the challenge proves, looked up in a directory of the local configuration: `user` by the user
   * principal name, `device` by the device id. Without `required` a missing entry leaves its variables empty. With
   * `publish` the directory gets the certificate (`userCertificate`).
   */
  directory: z
    .strictObject({
      name: identifier,
      lookUp: z.enum(["user", "device"]),
      required: z.boolean().default(true),
      publish: z.boolean().default(false),
    })
    .optional(),
  /** `directory`: the account's SID goes into the certificate (KB5014754), read there and nowhere else. */
  securityIdentifier: z.enum(["none", "directory"]).default("none"),
  /**
   * What GetCACert gives: `chain` is the RA's certificate, the issuing CA's and its chain; `single` the issuing CA's alone,
   * whose key then opens and signs SCEP messages itself (an authority made with `ca init --own-ra`).
   */
  caCertificates: z.enum(["chain", "single"]).default("chain"),
  /** Certificates end up to this share of their validity earlier, by device, so that a fleet does not renew in one hour. */
  renewalSpreadPercent: z.number().int().min(0).max(30).default(0),
  /** A device whose certificate has expired may renew it within this many days after its end. 0: never. */
  rescueDays: z.number().int().min(0).max(180).default(0),
  /** `new` refuses a renewal with the key of the certificate that it renews. */
  renewalKey: z.enum(["any", "new"]).default("any"),
  /** SHA-1, single DES and triple DES from old clients (micromdm's scepclient, Cisco IOS). Off unless needed. */
  legacyAlgorithms: z.boolean().default(false),
  /** Each request waits for a person: the device polls (SCEP CertPoll) until it is decided. */
  approval: z.boolean().default(false),
  /** Keys made on the connector for devices that make none (command `certificate.pkcs`). Absent: none are made. */
  pfx: z
    .strictObject({
      /** `legacy` (SHA-1, triple DES) is what old Apple and Android devices read. */
      format: z.enum(["legacy", "modern"]).default("modern"),
      keyType: z.enum(["rsa-2048", "rsa-3072"]).default("rsa-2048"),
    })
    .optional(),
  maxPerHour: z.number().int().min(1).max(1_000_000).default(100_000),
});

const httpUrl = z.url({ protocol: /^https?$/ }).max(512);

/** What the cloud (or, standalone, a local file) wants of this connector. */
export const desiredConfiguration = z
  .strictObject({
    profiles: z.array(profile).max(MAX_PROFILES),
    crl: z
      .strictObject({
        /** A list is signed this often, and at once after a revocation. */
        periodHours: z.number().int().min(1).max(720).default(24),
        /** How long a list stays valid past the time of the next one. */
        overlapHours: z.number().int().min(1).max(720).default(24),
      })
      .prefault({}),
    /**
     * Where relying parties reach this connector, without the file name: `<crl>/<issuerKeyId>.crl`,
     * `<ocsp>/<issuerKeyId>`, `<ca>/<issuerKeyId>.cer`. What is absent is not written into certificates.
     */
    publicUrls: z
      .strictObject({
        crl: httpUrl.optional(),
        ocsp: httpUrl.optional(),
        ca: httpUrl.optional(),
      })
      .default({}),
  })
  .superRefine(({ profiles }, context) => {
    const paths = profiles.map((each) => each.scepPath ?? each.id);
    reportRepeated(
      profiles.map((each) => each.id),
      "id",
      context,
    );
    reportRepeated(paths, "scepPath", context);
    if (profiles.filter((each) => each.ndesPath).length > 1) {
      context.addIssue({
        code: "custom",
        path: ["profiles"],
        message: "only one profile may have ndesPath",
      });
    }
  });

export type DesiredConfiguration = z.infer<typeof desiredConfiguration>;

function reportRepeated(values: readonly string[], key: string, context: z.RefinementCtx): void {
  for (const [index, value] of values.entries()) {
    if (values.indexOf(value) === index) continue;
    context.addIssue({
      code: "custom",
      path: ["profiles", index, key],
      message: `"${value}" is taken by another profile`,
    });
  }
}
