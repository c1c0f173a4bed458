import { createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ConnectorError } from "@isthmus/shared/errors";
import { readEncryptedKey, writeEncryptedKey } from "./encrypted-key.ts";

/**
 * Keys that passwords of imported PFX files are encrypted to: `<ca folder>/import-keys/<name>.key.pem`, encrypted with the
 * CA's passphrase, and `<name>.pub.pem`, for administrators to take away.
 */
const FOLDER = "import-keys";
const KEY_BITS = 3_072;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const generate = promisify(generateKeyPair);

interface ImportKeyPlace {
  readonly caFolder: string;
  readonly name: string;
}

/** Makes a key of 3072 bits; an existing one stays. Throws ConnectorError `import-key-exists`, `import-key-name`. */
export async function createImportKey(
  place: ImportKeyPlace,
  passphrase: string,
): Promise<{ readonly keyFile: string; readonly publicKeyFile: string }> {
  const { keyFile, publicKeyFile } = filesOf(place);
  if (existsSync(keyFile)) {
    throw new ConnectorError("import-key-exists", `there is an import key ${place.name} already`);
  }
  mkdirSync(join(place.caFolder, FOLDER), { recursive: true, mode: 0o700 });
  const { privateKey, publicKey } = await generate("rsa", { modulusLength: KEY_BITS });
  writeEncryptedKey(keyFile, privateKey, passphrase);
  writeFileSync(publicKeyFile, publicKey.export({ type: "spki", format: "pem" }));
  return { keyFile, publicKeyFile };
}

/** Throws ConnectorError `import-key-unknown`, `key-unreadable`. */
export function readImportKey(place: ImportKeyPlace, passphrase: string): KeyObject {
  const { keyFile } = filesOf(place);
  if (existsSync(keyFile)) return readEncryptedKey(keyFile, passphrase);
  throw unknown(place.name);
}

/** The public half. Throws ConnectorError `import-key-unknown`. */
export function readImportPublicKey(place: ImportKeyPlace): KeyObject {
  const { publicKeyFile } = filesOf(place);
  if (existsSync(publicKeyFile)) return createPublicKey(readFileSync(publicKeyFile));
  throw unknown(place.name);
}

/** The files of every import key, as paths below the CA's folder. */
export function importKeyFiles(caFolder: string): string[] {
  const folder = join(caFolder, FOLDER);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /\.(key|pub)\.pem$/.test(name))
    .map((name) => join(FOLDER, name));
}

function filesOf({ caFolder, name }: ImportKeyPlace) {
  if (!NAME.test(name)) {
    throw new ConnectorError(
      "import-key-name",
      "an import key's name is 1 to 64 letters, digits, '.', '_' or '-'",
    );
  }
  const base = join(caFolder, FOLDER, name);
  return { keyFile: `${base}.key.pem`, publicKeyFile: `${base}.pub.pem` };
}

function unknown(name: string): ConnectorError {
  return new ConnectorError(
    "import-key-unknown",
    `there is no import key "${name}"; \`pfx key create\` makes one`,
  );
}
