import { statSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { readStateFile, writeFileAtomically } from "@isthmus/shared/kernel/state-files";

/**
 * Remembers in the state folder that the token refused the PIN of a file, and keeps that file from being tried again until
 * it changes: a supervisor that restarts the service would lock the token within minutes.
 */
export interface PinMemory {
  /** Throws ConnectorError `hsm-pin-refused` where this very file was refused before. */
  check(pinFile: string): void;
  remember(pinFile: string): void;
}

const FILE = "hsm-pin-refused";

export function pinMemory(stateFolder: string): PinMemory {
  const file = join(stateFolder, FILE);
  return {
    check: (pinFile) => {
      if (readStateFile(file) !== versionOf(pinFile)) return;
      throw new ConnectorError(
        "hsm-pin-refused",
        `HSM: the token refused the PIN in ${pinFile}; it is not tried again until that file changes, so that the token is not locked`,
      );
    },
    remember: (pinFile) => writeFileAtomically(file, versionOf(pinFile)),
  };
}

/** Of a file that has changed, without a word of what is in it: even a digest of a PIN is as good as the PIN. */
function versionOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? "" : `${file} ${found.size} ${found.mtimeMs}`;
}
