import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type { IngestOutcome } from "../core/link-records.ts";
import { operations } from "../store/module.ts";
import { batchPayload } from "./batch-payload.ts";
import { START } from "./inventory-fixture.ts";
import { StoreInMemory } from "./store-in-memory.ts";

/** For tests: the store's operations on a database in memory, for properties that try very many sequences. */
export class InventoryInMemory implements Disposable {
  readonly #store = new StoreInMemory(START);
  readonly #seqs: Record<string, number> = {};

  constructor() {
    const connectorId = "bridge";
    const claim = { secretHash: "hash", service: "comgmt-bridge", displayName: "b" } as const;
    const act = { actor: "a", now: START };
    const transaction = this.#store.transaction;
    operations.createEnrolmentToken(transaction, { ...claim, ...act, expiresAt: START + 1 });
    const key = { publicKeyX: "x", newConnectorId: connectorId, now: START };
    operations.claimEnrolmentToken(transaction, { ...claim, ...key });
    operations.acceptConnector(transaction, {
      connectorId,
      bootId: "boot",
      epoch: 0,
      lastSeq: {},
      commandSeq: 0,
      configurationVersion: 0,
      clockOffsetMs: 0,
      now: START,
    });
    const about = { source: "CM1", sourceType: "configmgr", lease: 0, isGivenUp: false } as const;
    operations.renewLease(transaction, { connectorId, sessionNo: 1, ...about, now: START });
  }

  /** For operations that are called as they are. */
  get transaction(): Transaction {
    return this.#store.transaction;
  }

  /** Takes a batch of the `inventory` stream. */
  tell(lines: readonly string[], firstSeq?: number): IngestOutcome {
    return this.tellStream("inventory", lines, firstSeq);
  }

  tellStream(
    stream: string,
    lines: readonly string[],
    firstSeq = (this.#seqs[stream] ?? 0) + 1,
  ): IngestOutcome {
    this.#seqs[stream] = Math.max(this.#seqs[stream] ?? 0, firstSeq + lines.length - 1);
    return operations.ingestBatch(this.#store.transaction, {
      connectorId: "bridge",
      sessionNo: 1,
      stream,
      firstSeq,
      entryCount: lines.length,
      isAfterPruned: false,
      ...batchPayload(lines),
      now: START,
    });
  }

  rows(sql: string): Row[] {
    return this.#store.transaction.all(sql);
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }
}
