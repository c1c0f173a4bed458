import { createPrivateKey, type KeyObject, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { ConnectorError } from "@isthmus/shared/errors";

/** Private keys on disk: PKCS#8, encrypted (PBES2, AES-256), mode 0600. */

const PASSPHRASE_OCTETS = 32;
const OWNER_ONLY = 0o600;

/** The passphrase in a file, without the line end that editors add. Throws `passphrase-missing`. */
export function readPassphrase(file: string): string {
  const passphrase = read(file, "passphrase").replace(/\r?\n$/, "");
  if (passphrase !== "") return passphrase;
  throw new ConnectorError("passphrase-missing", `passphrase file ${file} is empty`);
}

/** The passphrase in a file; makes one of 256 random bits where there is none. */
export function readOrMakePassphrase(file: string): string {
  if (!existsSync(file)) {
    const passphrase = randomBytes(PASSPHRASE_OCTETS).toString("base64url");
    writeFileSync(file, `${passphrase}\n`, { mode: OWNER_ONLY, flag: "wx" });
  }
  return readPassphrase(file);
}

/** Writes a new file; an existing one is never overwritten. */
export function writeEncryptedKey(file: string, key: KeyObject, passphrase: string): void {
  const pem = key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase });
  writeFileSync(file, pem, { mode: OWNER_ONLY, flag: "wx" });
}

/** Throws `key-unreadable` for a wrong passphrase or a file that is no key. */
export function readEncryptedKey(file: string, passphrase: string): KeyObject {
  const key = read(file, "key");
  try {
    return createPrivateKey({ key, passphrase });
  } catch (cause) {
    throw new ConnectorError(
      "key-unreadable",
      `private key ${file} cannot be opened: the passphrase does not fit, or it is no PKCS#8 key`,
      { cause },
    );
  }
}

function read(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new ConnectorError(`${what}-missing`, `${what} file ${file} cannot be read`, { cause });
  }
}
