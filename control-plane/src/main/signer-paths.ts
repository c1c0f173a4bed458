import { join } from "node:path";
import type { Configuration } from "../config/configuration.ts";

/** Where the signer that `run` starts keeps its key and log. */
export function signerFolder(stateFolder: string): string {
  return join(stateFolder, "signer");
}

/** The socket of the configured signer, or of the one that `run` starts. */
export function signerSocket({ signer, stateFolder }: Configuration): string {
  return signer?.socket ?? join(signerFolder(stateFolder), "signer.sock");
}
