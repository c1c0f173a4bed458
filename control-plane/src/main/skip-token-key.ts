import { join } from "node:path";
import { readStateFile, writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import type { Random } from "@isthmus/shared/random";

const KEY_BYTES = 32;

/** The key that signs `$skiptoken`, kept so that a list begun before a restart can be read to its end. */
export function skipTokenKey(stateFolder: string, random: Random): Buffer {
  const file = join(stateFolder, "skip-token-key");
  const present = Buffer.from(readStateFile(file) ?? "", "base64url");
  if (present.length === KEY_BYTES) return present;
  const key = random.bytes(KEY_BYTES);
  writeFileAtomically(file, key.toString("base64url"));
  return key;
}
