import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);
const TIMEOUT_MS = 30_000;
const MAX_OUTPUT_BYTES = 4 * 1_048_576;

/** What a foreign program printed on both outputs, as bytes and as text. */
export interface PeerOutput {
  readonly stdout: Buffer;
  readonly text: string;
}

/** Runs a foreign program to its end. Throws with all it printed where its exit code is not 0. */
export async function runPeer(
  path: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<PeerOutput> {
  const options = {
    encoding: "buffer" as const,
    timeout: TIMEOUT_MS,
    maxBuffer: MAX_OUTPUT_BYTES,
    env: { ...process.env, ...environment },
  };
  try {
    const { stdout, stderr } = await execute(path, words, options);
    return { stdout, text: `${stdout.toString("utf8")}${stderr.toString("utf8")}` };
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: Buffer; stderr?: Buffer };
    throw new Error(`${path} ${words.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}
