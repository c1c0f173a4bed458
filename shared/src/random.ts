import { randomBytes } from "node:crypto";

/** Unpredictable bytes as a parameter, so that a test can script serials, nonces and identifiers. */
export interface Random {
  bytes(count: number): Buffer;
}

export const systemRandom: Random = { bytes: (count) => randomBytes(count) };
