import type { Row, Transaction } from "@isthmus/shared/store/transaction";

/** Rows of the systems that are read, and what happened to them. For use inside other operations. */

export interface Source {
  readonly id: number;
  readonly name: string;
  readonly connectorId: string | null;
  readonly lease: number;
}

export function sourceNamed(transaction: Transaction, name: string): Source | undefined {
  const row = transaction.get(
    "SELECT id, name, connector_id, lease FROM inventory_source WHERE name = ?",
    name,
  );
  return row && toSource(row);
}

function toSource(row: Row): Source {
  return {
    id: Number(row["id"]),
    name: String(row["name"]),
    connectorId: row["connector_id"] as string | null,
    lease: Number(row["lease"]),
  };
}

/** What happened to a source; `side` says on which end of the link it was seen. */
export interface SourceEvent {
  readonly sourceId: number;
  readonly at: number;
  readonly now: number;
  readonly side: "bridge" | "cloud";
  readonly event: string;
  readonly message: string;
  readonly kind?: string | undefined;
  readonly figures?: Readonly<Record<string, number>> | undefined;
  /** Of the records of `kind` that it is about, the first of them. */
  readonly keys?: readonly string[] | undefined;
}

export function recordSourceEvent(transaction: Transaction, event: SourceEvent): void {
  transaction.run(
    `INSERT INTO inventory_event (source_id, at, recorded_at, side, event, kind, message, figures, keys)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    event.sourceId,
    event.at,
    event.now,
    event.side,
    event.event,
    event.kind ?? null,
    event.message,
    event.figures === undefined ? null : JSON.stringify(event.figures),
    event.keys === undefined ? null : JSON.stringify(event.keys),
  );
}
