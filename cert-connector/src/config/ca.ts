import { fileKey, pathKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";

/** PKCS#11 pads a token's label to 32 octets; that of a key is as long as the vendor allows. */
const tokenLabel = z.string().min(1).max(32);
const keyLabel = z.string().min(1).max(128);
const keyId = z
  .string()
  .regex(/^(?:[0-9a-f]{2}){1,64}$/, "has to be hexadecimal, in lower case and whole octets");

/** The SCEP front door and the issuing CA with their private keys in a PKCS#11 token; certificates stay in the folder. */
const hsm = z
  .strictObject({
    /** The vendor's PKCS#11 library. */
    module: fileKey(),
    tokenLabel: tokenLabel.optional(),
    slot: z.number().int().min(0).optional(),
    pinFile: secretFileKey(),
    issuingKeyLabel: keyLabel.optional(),
    /** CKA_ID in hex, beside the label or in its place. */
    issuingKeyId: keyId.optional(),
    /** The RA's key is in the folder where neither is given. */
    raKeyLabel: keyLabel.optional(),
    raKeyId: keyId.optional(),
    /** How many signatures and decryptions may be under way at once. */
    sessions: z.number().int().min(1).max(64).default(2),
    /** A token that takes longer for one of them counts as lost. */
    timeoutMs: z.number().int().min(100).max(60_000).default(5_000),
  })
  .superRefine((given, context) => {
    if ((given.tokenLabel === undefined) === (given.slot === undefined)) {
      context.addIssue({ code: "custom", message: "either tokenLabel or slot has to be given" });
    }
    if (given.issuingKeyLabel === undefined && given.issuingKeyId === undefined) {
      context.addIssue({
        code: "custom",
        path: ["issuingKeyLabel"],
        message: "issuingKeyLabel or issuingKeyId has to be given",
      });
    }
  });

export type HsmConfiguration = z.infer<typeof hsm>;

/**
 * The embedded certification authority, made by `ca init`. The passphrase protects every key that is kept in a file or in
 * the database; it is needed beside an HSM too.
 */
export const ca = z.strictObject({
  folder: pathKey(),
  passphraseFile: pathKey(),
  hsm: hsm.optional(),
});

export type CaConfiguration = z.infer<typeof ca>;
