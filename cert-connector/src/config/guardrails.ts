import { patternKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";

const patterns = z.array(patternKey()).max(100);

/**
 * What certificates this connector may issue at most, whatever its cloud says: the `cert-connector` section of the
 * guardrails file. The defaults allow client certificates for a year and no security identifiers, so that a hostile cloud
 * cannot make a certificate that Active Directory takes for an administrator's.
 */
export const guardrails = z.object({
  profiles: patterns.default([".*"]),
  /**
   * What profiles may write as `ca`: names and labels. Worth narrowing where one of the authorities is trusted for more than
   * another, e.g. for logon to the domain: profiles are the cloud's to write.
   */
  authorities: patterns.default([".*"]),
  /** Of the subject as RFC 4514 text. */
  subjects: patterns.default([".*"]),
  subjectAltNames: z
    .strictObject({
      uri: patterns.default(["urn:isthmus:device:.+"]),
      dns: patterns.default([".*"]),
      email: patterns.default([".*"]),
      upn: patterns.default([".*"]),
    })
    .prefault({}),
  /** Which SIDs may stand in a certificate (strong mapping of Active Directory). */
  securityIdentifiers: patterns.default([]),
  extendedKeyUsage: z.array(z.string().max(64)).max(20).default(["clientAuth"]),
  maxValidityDays: z.number().int().min(1).max(825).default(398),
  minRsaBits: z.number().int().min(2048).max(8192).default(2048),
  allowStaticChallenge: z.boolean().default(true),
  /**
   * To whom private keys may be encrypted: `ledger`, whether certificates that this connector issued to the same device
   * count; `thumbprints`, SHA-256 of further certificates that a person on this host vouches for.
   */
  recipients: z
    .strictObject({
      ledger: z.boolean().default(true),
      thumbprints: z
        .array(z.string().regex(/^[0-9a-f]{64}$/))
        .max(10_000)
        .default([]),
    })
    .prefault({}),
  /**
   * To whom imported PFX files may be encrypted: `listed`, to certificates under `recipients.thumbprints` alone; `ledger`, also
   * as `recipients.ledger` says. Whoever signs challenges can enrol a key of its own in a user's name, and would read the
   * user's mail with such a file.
   */
  importedPfxRecipients: z.enum(["listed", "ledger"]).default("listed"),
  /**
   * Whose imported PFX a device may get: `certificate`, that of the user whom both certificates name; `any` trusts the
   * control plane's word for it.
   */
  importedPfxOwner: z.enum(["certificate", "any"]).default("certificate"),
});

export type Guardrails = z.infer<typeof guardrails>;
