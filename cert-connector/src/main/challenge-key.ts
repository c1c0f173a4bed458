import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { readStateFile, writeFileAtomically } from "@isthmus/shared/kernel/state-files";

/**
 * The key that signs challenges where there is no control plane, Ed25519, in the state folder: made by whoever needs it
 * first, the running service or `challenge`.
 */
export function localChallengeKey(stateFolder: string): KeyObject {
  const file = join(stateFolder, "challenge-key.pem");
  const pem = readStateFile(file);
  if (pem !== undefined) return createPrivateKey(pem);
  const { privateKey } = generateKeyPairSync("ed25519");
  writeFileAtomically(file, privateKey.export({ type: "pkcs8", format: "pem" }));
  return privateKey;
}
