import { secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";
import { identityFiles, plainUrl, protectedUrl, remoteAuthorityKeys } from "./authority-keys.ts";
import { localName } from "./names.ts";

/** Names that stand in addresses of the authority's API, and in its configuration. */
const remoteName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,127}$/);
const pathPart = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/);

const stepCa = z.strictObject({
  kind: z.literal("step-ca"),
  ...remoteAuthorityKeys(protectedUrl),
  provisioner: remoteName,
  /** The provisioner's private JWK, encrypted as step-ca keeps it (`encryptedKey`) or plain. */
  keyFile: secretFileKey(),
  /** The password of an encrypted key. */
  passwordFile: secretFileKey().optional(),
});

const cfssl = z.strictObject({
  kind: z.literal("cfssl"),
  ...remoteAuthorityKeys(plainUrl),
  /** The signing profile there. */
  profile: remoteName,
  /** The signer there, where it has several. */
  label: remoteName.optional(),
  /** The profile's `auth_key`, in hex. */
  authKeyFile: secretFileKey(),
  client: identityFiles.optional(),
});

const vaultToken = z.strictObject({ method: z.literal("token"), tokenFile: secretFileKey() });
const vaultAppRole = z.strictObject({
  method: z.literal("approle"),
  mount: pathPart.default("approle"),
  roleIdFile: secretFileKey(),
  secretIdFile: secretFileKey(),
});

const vault = z.strictObject({
  kind: z.literal("vault"),
  ...remoteAuthorityKeys(protectedUrl),
  namespace: pathPart.optional(),
  /** Where the PKI secrets engine is mounted. */
  mount: pathPart.default("pki"),
  role: remoteName,
  /** Of a mount with several issuers; the role's or the default one where absent. */
  issuerRef: remoteName.optional(),
  /** `role`: the role decides, names are ours. `verbatim`: everything is taken from the device's request. */
  sign: z.enum(["role", "verbatim"]).default("role"),
  login: z.discriminatedUnion("method", [vaultToken, vaultAppRole]),
});

const ejbca = z.strictObject({
  kind: z.literal("ejbca"),
  ...remoteAuthorityKeys(protectedUrl),
  /** The certificate of the role that may enrol and revoke. */
  client: identityFiles,
  authority: remoteName,
  certificateProfile: remoteName,
  endEntityProfile: remoteName,
  /** Of the end entities that are made, one for each certificate. */
  usernamePrefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,32}$/)
    .default("isthmus-"),
  /** `endEntity`: names are ours. `request`: for an EJBCA without the end entity API; names are those of the request. */
  names: z.enum(["endEntity", "request"]).default("endEntity"),
});

const scep = z.strictObject({
  kind: z.literal("scep"),
  ...remoteAuthorityKeys(plainUrl),
  /** Who signs our messages, an RSA key; one is made at each start where absent. */
  signer: identityFiles.optional(),
  /** SHA-1 and triple DES towards a server that offers nothing else. */
  legacyAlgorithms: z.boolean().default(false),
});

/** A ticket for each request; without `keytabFile` as the machine's Kerberos environment says. */
const kerberosLogin = z.strictObject({
  method: z.literal("kerberos"),
  keytabFile: secretFileKey().optional(),
  /** Of several in the keytab: `isthmus@EXAMPLE.COM`. */
  principal: z
    .string()
    .regex(/^[^\s@]{1,128}@[^\s@]{1,255}$/)
    .optional(),
  /** Off only where something in front of the server ends TLS; a server of today refuses a ticket without it. */
  channelBinding: z.boolean().default(true),
});
const basicLogin = z.strictObject({
  method: z.literal("basic"),
  user: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[^:\p{Cc}]+$/u),
  passwordFile: secretFileKey(),
});
const adcsKeys = {
  ...remoteAuthorityKeys(protectedUrl),
  /** The name of the certificate template, not its display name. */
  template: remoteName,
  /** Alternative names as an attribute beside the request: only where the CA is known to take them from there. */
  sanAttribute: z.boolean().default(false),
  login: z.discriminatedUnion("method", [kerberosLogin, basicLogin]),
};

/** AD CS by its web enrolment pages: `urls` without `/certsrv`. */
const adcsWeb = z.strictObject({ kind: z.literal("adcs-web"), ...adcsKeys });
/** AD CS by its Certificate Enrollment Web Service: `urls` up to and with `/service.svc/CES`. */
const adcsCes = z.strictObject({ kind: z.literal("adcs-ces"), ...adcsKeys });

const authority = z.discriminatedUnion("kind", [
  stepCa,
  cfssl,
  vault,
  ejbca,
  scep,
  adcsWeb,
  adcsCes,
]);

/** How a check is named after an authority: lower case, only letters, digits and `-`. */
export function checkNameOf(authorityName: string): string {
  return `authority-${authorityName.toLowerCase().replaceAll(/[._]/g, "-")}`.slice(0, 64);
}

/** Certification authorities elsewhere, by name; a profile's `ca` is such a name, or a label that several carry. */
export const authorities = z
  .record(localName, authority)
  .default({})
  .superRefine((byName, context) => {
    const seen = new Set<string>();
    for (const name of Object.keys(byName)) {
      const isTaken = name === "embedded" || seen.has(checkNameOf(name));
      seen.add(checkNameOf(name));
      if (!isTaken) continue;
      const message = `"${name}" is too like another authority's name; "embedded" is our own`;
      context.addIssue({ code: "custom", path: [name], message });
    }
  });

export type AuthorityConfiguration = z.infer<typeof authority>;
export type AuthorityOfKind<Kind extends AuthorityConfiguration["kind"]> = Extract<
  AuthorityConfiguration,
  { kind: Kind }
>;
