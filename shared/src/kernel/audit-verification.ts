import { verifyJws } from "../link/jws.ts";
import { JWS_TYPES, type PublicKey, signedAuditHead } from "../link/messages.ts";
import type { Store } from "../store/store.ts";
import { auditHash, auditPayloadHash, FIRST_PREVIOUS_HASH } from "./audit-chain.ts";
import type { AuditHead, AuditReceipt, StoredAuditEntry } from "./audit-operations.ts";
import type { KernelOperations } from "./kernel-operations.ts";

/** What `audit verify` found. */
export interface AuditReport {
  readonly isIntact: boolean;
  readonly entries: number;
  readonly head: AuditHead | undefined;
  /** Entries whose payload was erased; their place in the chain still counts. */
  readonly erasedPayloads: number;
  /** Heads countersigned by the control plane that agree with the chain. */
  readonly countersignedHeads: number;
  /** The newest entry that a countersigned head vouches for, 0 for none. */
  readonly countersignedUpTo: number;
  /** The first entry that is not as it was written, and why. */
  readonly broken?: { readonly index: number; readonly reason: string };
}

/**
 * Recomputes the audit chain of a store and checks it against the heads that the control plane countersigned.
 *
 * @param keys every tenant key that was ever pinned; empty in standalone mode
 * @param connectorId whom the countersignatures have to name
 */
export async function verifyAudit(
  store: Pick<Store<KernelOperations>, "run">,
  keys: readonly PublicKey[],
  connectorId: string,
): Promise<AuditReport> {
  const receipts = await store.run("auditReceipts");
  const walk = new ChainWalk(new Map(receipts.map(({ index, hash }) => [index, hash])));
  for (;;) {
    const page = await store.run("auditPage", walk.head?.index ?? 0);
    if (page.length === 0) break;
    const isBroken = page.some((entry) => walk.step(entry) !== undefined);
    if (isBroken) break;
  }
  const lost = walk.broken ?? missingEnd(walk.head, receipts);
  const agreeing = receipts.filter(({ index }) => index <= (walk.head?.index ?? 0));
  const forged = lost === undefined ? await firstForged(agreeing, keys, connectorId) : undefined;
  const broken = lost ?? forged;
  return {
    isIntact: broken === undefined,
    entries: walk.entries,
    head: walk.head,
    erasedPayloads: walk.erased,
    countersignedHeads: agreeing.length,
    countersignedUpTo: agreeing.at(-1)?.index ?? 0,
    ...(broken && { broken }),
  };
}

type Broken = NonNullable<AuditReport["broken"]>;

/** Walks the chain from its start, one entry after the other. */
class ChainWalk {
  head: AuditHead | undefined;
  entries = 0;
  erased = 0;
  broken: Broken | undefined;
  readonly #countersigned: ReadonlyMap<number, string>;

  constructor(countersigned: ReadonlyMap<number, string>) {
    this.#countersigned = countersigned;
  }

  step(entry: StoredAuditEntry): Broken | undefined {
    const index = (this.head?.index ?? 0) + 1;
    const reason = this.#faultOf(entry, index);
    if (reason !== undefined) {
      this.broken = { index, reason };
      return this.broken;
    }
    this.head = { index, hash: entry.hash };
    this.entries += 1;
    if (entry.payloadText === undefined) this.erased += 1;
    return undefined;
  }

  #faultOf(entry: StoredAuditEntry, index: number): string | undefined {
    if (entry.index !== index) return `entry ${index} is missing`;
    if (entry.previousHash !== (this.head?.hash ?? FIRST_PREVIOUS_HASH)) {
      return "it does not follow from the entry before it";
    }
    if (entry.hash !== auditHash(entry)) return "its hash does not fit its fields";
    const { payloadText, payloadHash } = entry;
    if (payloadText !== undefined && auditPayloadHash(payloadText) !== payloadHash) {
      return "its payload was changed";
    }
    const countersigned = this.#countersigned.get(index);
    if (countersigned !== undefined && countersigned !== entry.hash) {
      return "the control plane countersigned another hash for it";
    }
    return undefined;
  }
}

function missingEnd(
  head: AuditHead | undefined,
  receipts: readonly AuditReceipt[],
): Broken | undefined {
  const index = (head?.index ?? 0) + 1;
  const newest = receipts.at(-1)?.index ?? 0;
  if (newest < index) return undefined;
  return {
    index,
    reason: `the chain ends before it, but the control plane has countersigned entry ${newest}`,
  };
}

async function firstForged(
  receipts: readonly AuditReceipt[],
  keys: readonly PublicKey[],
  connectorId: string,
): Promise<Broken | undefined> {
  for (const receipt of receipts) {
    if (await isCountersigned(receipt, keys, connectorId)) continue;
    return { index: receipt.index, reason: "its countersignature is not by a pinned tenant key" };
  }
  return undefined;
}

async function isCountersigned(
  receipt: AuditReceipt,
  keys: readonly PublicKey[],
  connectorId: string,
): Promise<boolean> {
  try {
    const head = signedAuditHead.parse(await verifyJws(receipt.jws, JWS_TYPES.auditHead, keys));
    return head.aud === connectorId && head.index === receipt.index && head.hash === receipt.hash;
  } catch {
    return false;
  }
}

/** The report as a sentence or two. */
export function describeAudit(report: AuditReport): string {
  const { entries, erasedPayloads, countersignedHeads, countersignedUpTo, broken } = report;
  const size = `${entries} ${entries === 1 ? "entry" : "entries"}, ${erasedPayloads} payloads erased`;
  if (broken !== undefined) {
    return `The audit chain is broken at entry ${broken.index}: ${broken.reason}. Intact before it: ${size}.`;
  }
  const heads =
    countersignedHeads === 0
      ? "no head is countersigned yet"
      : `${countersignedHeads} countersigned heads agree, up to entry ${countersignedUpTo}`;
  return `The audit chain is intact: ${size}; ${heads}.`;
}
