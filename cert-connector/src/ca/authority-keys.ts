import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { ConnectorError } from "@isthmus/shared/errors";
import type { SigningKey } from "@isthmus/shared/x509/signing-key";
import { writeEncryptedKey } from "./encrypted-key.ts";
import type { Hsm } from "./hsm.ts";
import { heldKey, keyInToken } from "./hsm-key.ts";
import { HSM_KEY_ALGORITHMS, type HsmKeyAlgorithm } from "./pkcs11-messages.ts";

export const AUTHORITY_ALGORITHMS = HSM_KEY_ALGORITHMS;
export type AuthorityAlgorithm = HsmKeyAlgorithm;

/** A key that was just made. */
export interface NewKey {
  readonly key: SigningKey;
  /** Puts it where it is to stay, without overwriting anything; one in a token is there already. */
  store(): void;
}

/** Where a key of an authority is made and kept. */
export interface KeyPlace {
  /** The file that holds the key; undefined for a token. */
  readonly file: string | undefined;
  make(algorithm: AuthorityAlgorithm, canDecrypt: boolean): Promise<NewKey>;
}

const generate = promisify(generateKeyPair);

/** In a file, encrypted. */
export function keyInFile(file: string, passphrase: string): KeyPlace {
  return {
    file,
    make: async (algorithm) => {
      const { privateKey: key } = await generateKey(algorithm);
      return { key, store: () => writeEncryptedKey(file, key, passphrase) };
    },
  };
}

/**
 * In a token under a label. One that is there already is used only if `mayExist`, as after a key ceremony; then it has to be
 * of the algorithm asked for.
 */
export function keyUnderLabel(hsm: Hsm, label: string, mayExist = false): KeyPlace {
  return {
    file: undefined,
    make: async (algorithm, canDecrypt) => ({
      key: mayExist
        ? await existing(hsm, label, algorithm)
        : heldKey(hsm, { label }, await hsm.perform("generate", { label, algorithm, canDecrypt })),
      store: () => undefined,
    }),
  };
}

async function existing(hsm: Hsm, label: string, algorithm: AuthorityAlgorithm) {
  const key = await keyInToken(hsm, { label });
  const found = nameOf(key.publicKey);
  if (found === algorithm) return key;
  throw new ConnectorError(
    "hsm-key-kind",
    `HSM: key "${label}" is ${found}, and ${algorithm} was asked for`,
  );
}

function nameOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string {
  const curves: Readonly<Record<string, string>> = { prime256v1: "p256", secp384r1: "p384" };
  const curve = details?.namedCurve ?? "";
  return type === "rsa" ? `rsa-${details?.modulusLength}` : `${type}-${curves[curve] ?? curve}`;
}

function generateKey(algorithm: AuthorityAlgorithm): Promise<{ readonly privateKey: KeyObject }> {
  switch (algorithm) {
    case "rsa-2048":
      return generate("rsa", { modulusLength: 2048 });
    case "rsa-3072":
      return generate("rsa", { modulusLength: 3072 });
    case "ec-p256":
      return generate("ec", { namedCurve: "P-256" });
    case "ec-p384":
      return generate("ec", { namedCurve: "P-384" });
  }
}
