import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";

const FILE_NAME = "tenant-key.pem";

/** The tenant key in the signer's state folder (PKCS#8, mode 0600), made when there is none. */
export async function loadTenantKey(folder: string): Promise<KeyObject> {
  const path = join(folder, FILE_NAME);
  const pem = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new ConnectorError("tenant-key-unreadable", `Tenant key ${path} cannot be read`, {
      cause: error,
    });
  });
  if (pem !== undefined) return parseKey(path, pem);
  const { privateKey } = generateKeyPairSync("ed25519");
  await storeTenantKey(folder, privateKey);
  return privateKey;
}

/** Puts a key in the place of the one there is; on disk, under its name, when this resolves. */
export async function storeTenantKey(folder: string, key: KeyObject): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, FILE_NAME);
  const temporary = `${path}.new`;
  {
    await using file = await open(temporary, "w", 0o600);
    await file.writeFile(key.export({ format: "pem", type: "pkcs8" }));
    await file.sync();
  }
  await rename(temporary, path);
  await using parent = await open(dirname(path), "r");
  await parent.sync();
}

function parseKey(path: string, pem: string): KeyObject {
  const key = createKey(path, pem);
  if (key.asymmetricKeyType !== "ed25519") {
    throw new ConnectorError("tenant-key-unusable", `Tenant key ${path} is not Ed25519`);
  }
  return key;
}

function createKey(path: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new ConnectorError("tenant-key-unusable", `Tenant key ${path} is no private key`, {
      cause,
    });
  }
}
