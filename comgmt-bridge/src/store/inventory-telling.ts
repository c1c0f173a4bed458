import { ConnectorError } from "@isthmus/shared/errors";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { InventoryState } from "../core/inventory-state.ts";
import { wantVolatile } from "./kind-state.ts";

/** One operation's right to tell of a source: its lease, and the revisions it gives to what it tells. `end` notes the last one. */
export class Telling {
  readonly source: string;
  readonly lease: number;
  readonly at: number;
  readonly #transaction: Transaction;
  readonly #from: number;
  #revision: number;

  /** Throws ConnectorError `lease-not-held`. */
  constructor(
    transaction: Transaction,
    of: { readonly source: string; readonly lease: number; readonly at: number },
  ) {
    const { source, lease, at } = of;
    const state = sourceState(transaction, source);
    if (state?.lease !== lease) {
      const held = state === undefined ? "none" : `lease ${state.lease}`;
      throw new ConnectorError(
        "lease-not-held",
        `${source} cannot be told under lease ${lease}: ${held} was taken last`,
      );
    }
    this.source = source;
    this.lease = lease;
    this.at = at;
    this.#transaction = transaction;
    this.#from = state.revision;
    this.#revision = state.revision;
  }

  nextRevision(): number {
    this.#revision += 1;
    return this.#revision;
  }

  end(): void {
    if (this.#revision === this.#from) return;
    this.#transaction.run(
      "UPDATE source_state SET revision = ? WHERE source = ?",
      this.#revision,
      this.source,
    );
  }
}

export interface SourceState {
  readonly lease: number;
  readonly revision: number;
}

export function sourceState(transaction: Transaction, source: string): SourceState | undefined {
  const row = transaction.get("SELECT lease, revision FROM source_state WHERE source = ?", source);
  return row && { lease: Number(row["lease"]), revision: Number(row["revision"]) };
}

/** Takes a lease over; see `InventoryState.takeLease`. */
export function takeLease(
  transaction: Transaction,
  of: Parameters<InventoryState["takeLease"]>[0],
): { readonly isNew: boolean } {
  const before = sourceState(transaction, of.source);
  transaction.run(
    `INSERT INTO source_state (source, lease, revision) VALUES (?, ?, ?)
     ON CONFLICT (source) DO UPDATE SET lease = excluded.lease,
       revision = max(source_state.revision, excluded.revision)`,
    of.source,
    of.lease,
    of.revision,
  );
  const isNew = before?.lease !== of.lease;
  if (isNew) wantVolatile(transaction, of.source);
  return { isNew };
}
