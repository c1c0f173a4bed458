import { createCipheriv, createDecipheriv, scryptSync } from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import type { DraftSealer } from "../core/pkcs-issuance.ts";

const CIPHER = "aes-256-gcm";
const KEY_OCTETS = 32;
const IV_OCTETS = 12;
const TAG_OCTETS = 16;
/** Fixed: the passphrase is a machine's own, and every replica has to come to the same key. */
const SALT = "isthmus cert-connector pkcs drafts 1";

/**
 * Seals keys that wait for their certificate with a key from the CA's passphrase, which every replica has and no database
 * holds. `iv (12) ciphertext tag (16)`.
 */
export function draftSealer(passphrase: string, random: Random): DraftSealer {
  const key = scryptSync(passphrase, SALT, KEY_OCTETS);
  return {
    seal: (plain, context) => {
      const iv = random.bytes(IV_OCTETS);
      const cipher = createCipheriv(CIPHER, key, iv).setAAD(Buffer.from(context));
      return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    open: (sealed, context) => {
      const bytes = Buffer.from(sealed);
      try {
        const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_OCTETS), {
          authTagLength: TAG_OCTETS,
        });
        decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-TAG_OCTETS));
        const content = bytes.subarray(IV_OCTETS, -TAG_OCTETS);
        return Buffer.concat([decipher.update(content), decipher.final()]);
      } catch (cause) {
        throw new ConnectorError(
          "draft-unreadable",
          "a key that waited for its certificate cannot be opened: the CA's passphrase was changed meanwhile; order anew",
          { cause },
        );
      }
    },
  };
}
