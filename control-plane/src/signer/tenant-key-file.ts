import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { readStateFile, writeFileAtomically } from "@isthmus/shared/kernel/state-files";

const CURRENT = "tenant-key.pem";
const NEXT = "tenant-key.next.pem";

/** The tenant key in the signer's state folder (PKCS#8, mode 0600), made when there is none. */
export function loadTenantKey(folder: string): KeyObject {
  return loadOrMake(join(folder, CURRENT));
}

/** The key that is to follow, made when none waits. */
export function loadNextTenantKey(folder: string): KeyObject {
  return loadOrMake(join(folder, NEXT));
}

/** Puts the next key in the place of the present one; on disk when this returns. */
export function promoteNextTenantKey(folder: string): KeyObject {
  const key = loadNextTenantKey(folder);
  store(join(folder, CURRENT), key);
  rmSync(join(folder, NEXT));
  return key;
}

function loadOrMake(path: string): KeyObject {
  const pem = readStateFile(path);
  if (pem !== undefined) return parseKey(path, pem);
  const { privateKey } = generateKeyPairSync("ed25519");
  store(path, privateKey);
  return privateKey;
}

function store(path: string, key: KeyObject): void {
  writeFileAtomically(path, key.export({ format: "pem", type: "pkcs8" }));
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
