import { createPrivateKey, type KeyObject, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";

/** Private keys on disk: PKCS#8, encrypted (PBES2, AES-256), mode 0600. */

const PASSPHRASE_OCTETS = 32;
const OWNER_ONLY = 0o600;

/** The passphrase in a file; makes one of 256 random bits where there is none. */
export function readOrMakePassphrase(file: string): string {
  if (!existsSync(file)) {
    const passphrase = randomBytes(PASSPHRASE_OCTETS).toString("base64url");
    writeFileSync(file, `${passphrase}\n`, { mode: OWNER_ONLY, flag: "wx" });
  }
  return readSecretFile(file);
}

/** Writes a new file; an existing one is never overwritten. */
export function writeEncryptedKey(file: string, key: KeyObject, passphrase: string): void {
  const pem = key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase });
  writeFileSync(file, pem, { mode: OWNER_ONLY, flag: "wx" });
}

/** Throws `key-unreadable` for a wrong passphrase or a file that is no key. */
export function readEncryptedKey(file: string, passphrase: string): KeyObject {
  try {
    return createPrivateKey({ key: readFileSync(file), passphrase });
  } catch (cause) {
    throw new ConnectorError(
      "key-unreadable",
      `private key ${file} cannot be opened: it is missing, no PKCS#8 key, or the passphrase does not fit`,
      { cause },
    );
  }
}
