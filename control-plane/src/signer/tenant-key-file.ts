import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { readStateFile, writeFileAtomically } from "@isthmus/shared/kernel/state-files";

/** The tenant key in the signer's state folder (PKCS#8, mode 0600), made when there is none. */
export function loadTenantKey(folder: string): KeyObject {
  const path = pathIn(folder);
  const pem = readStateFile(path);
  if (pem !== undefined) return parseKey(path, pem);
  const { privateKey } = generateKeyPairSync("ed25519");
  storeTenantKey(folder, privateKey);
  return privateKey;
}

/** Puts a key in the place of the one there is; on disk when this returns. */
export function storeTenantKey(folder: string, key: KeyObject): void {
  writeFileAtomically(pathIn(folder), key.export({ format: "pem", type: "pkcs8" }));
}

function pathIn(folder: string): string {
  return join(folder, "tenant-key.pem");
}

function parseKey(path: string, pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    const message = `Tenant key ${path} is no private key: restore it from a backup`;
    throw new ConnectorError("tenant-key-unusable", message, { cause });
  }
  if (key.asymmetricKeyType === "ed25519") return key;
  throw new ConnectorError("tenant-key-unusable", `Tenant key ${path} is not Ed25519`);
}
