import { createHash } from "node:crypto";

/** What the first entry of a chain names as the hash before it. */
export const FIRST_PREVIOUS_HASH = "0".repeat(64);

/** The part of an audit entry that its hash covers; `payloadHash` stands for the payload, which may be erased. */
export interface ChainedEntry {
  readonly index: number;
  readonly previousHash: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly event: string;
  readonly payloadHash: string;
}

/** SHA-256, hex, over the fields of an entry: what the next entry names as `previousHash`. */
export function auditHash(entry: ChainedEntry): string {
  const { index, previousHash, at, event, payloadHash } = entry;
  return sha256(JSON.stringify(["isthmus-audit-1", index, previousHash, at, event, payloadHash]));
}

/** SHA-256, hex, over a payload's JSON text exactly as it is stored. */
export function auditPayloadHash(payloadText: string): string {
  return sha256(payloadText);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
