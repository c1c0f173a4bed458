import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { neededTool } from "./tool.ts";

const run = promisify(execFile);

/** CPU milliseconds of single public-key operations, as `openssl speed` measures them on one core. */
export interface KeyCosts {
  readonly rsaPrivateMs: number;
  readonly rsaPublicMs: number;
  readonly ecSignMs: number;
}

/** Measures RSA-2048 and ECDSA P-256 for about a second each. It counts user CPU time, not time on the clock. */
export async function measureKeyCosts(): Promise<KeyCosts> {
  const words = ["speed", "-mr", "-seconds", "1", "rsa2048", "ecdsap256"];
  const { stdout } = await run(neededTool("openssl"), words);
  return parseKeyCosts(stdout);
}

/**
 * Reads the machine-readable summary: `+F2:<algorithm>:<bits>:<a>:<b>` for RSA and `+F4` for ECDSA. `a` and `b` are
 * private and public operations per second; OpenSSL before 3.0 printed seconds per operation instead.
 */
export function parseKeyCosts(output: string): KeyCosts {
  const rsa = rates(output, "F2", "2048");
  const ec = rates(output, "F4", "256");
  return {
    rsaPrivateMs: perOperationMs(rsa[0]),
    rsaPublicMs: perOperationMs(rsa[1]),
    ecSignMs: perOperationMs(ec[0]),
  };
}

function rates(output: string, tag: string, bits: string): [number, number] {
  const line = new RegExp(`^\\+${tag}:\\d+:${bits}:([\\d.]+):([\\d.]+)$`, "m").exec(output);
  if (line === null) throw new Error(`openssl speed printed no ${tag} line for ${bits} bits`);
  return [Number(line[1]), Number(line[2])];
}

/** A rate is above one operation per second on any machine, a duration in seconds below. */
function perOperationMs(rateOrSeconds: number): number {
  return rateOrSeconds > 1 ? 1000 / rateOrSeconds : rateOrSeconds * 1000;
}
