import { VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import type { SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import { RowInsert } from "./insert-rows.ts";

/**
 * The facets that a record has now: one row for all of them. A first sync brings records by the hundred thousand, and ten rows of each would
 * cost several times what one does. Whoever reads sees them one by one in the view `inventory_facet`.
 */

/** What is stored of a facet, without its value. */
export interface StoredFacet {
  readonly name: string;
  readonly hash: string;
  readonly revision: number;
  readonly at: number;
}

/** A value that a facet has or gets, as JSON text. */
export interface FacetText extends StoredFacet {
  readonly text: string;
}

/** Facets that lists read, and the one that changes with every contact, have a column each; all others share one. */
const OWN_COLUMNS: ReadonlySet<string> = new Set(["identity", "stable", VOLATILE_FACET]);
const OTHERS = "others";

type States = Record<string, readonly [hash: string, revision: number, at: number]>;

/** A record that is new, or is back. Facets without text it has not. */
export interface NewDocument {
  readonly id: number;
  readonly revision: number;
  readonly at: number;
  readonly facets: readonly {
    readonly name: string;
    readonly hash: string;
    readonly text: string | undefined;
  }[];
}

const DOCUMENTS = new RowInsert("inventory_document", [
  ...["record_id", "states", "volatile", "identity", "stable", "others"],
]);

export function insertDocuments(transaction: Transaction, documents: readonly NewDocument[]): void {
  DOCUMENTS.run(transaction, documents.map(rowOf));
}

function rowOf({ id, revision, at, facets }: NewDocument): SqlValue[] {
  let [states, others] = ["", ""];
  const own: Record<string, string | undefined> = {};
  // Names of facets need no escaping in JSON.
  for (const { name, hash, text } of facets) {
    if (text === undefined) continue;
    states += `${separator(states)}"${name}":["${hash}",${revision},${at}]`;
    if (OWN_COLUMNS.has(name)) own[name] = text;
    else others += `${separator(others)}"${name}":${text}`;
  }
  return [
    id,
    states === "" ? "{}" : `${states}}`,
    own[VOLATILE_FACET] ?? null,
    own["identity"] ?? null,
    own["stable"] ?? null,
    others === "" ? null : `${others}}`,
  ];
}

/** Before the next member of an object that is written. */
function separator(written: string): string {
  return written === "" ? "{" : ",";
}

/** The facets of a record that is there, read as far as they are asked for. */
export class RecordDocument {
  readonly #transaction: Transaction;
  readonly #recordId: number;
  readonly #states: States;
  readonly #columns = new Map<string, string | undefined>();
  readonly #changed = new Set<string>();
  #others: Record<string, unknown> | undefined;

  private constructor(transaction: Transaction, recordId: number, states: States) {
    this.#transaction = transaction;
    this.#recordId = recordId;
    this.#states = states;
  }

  /** Undefined for a record that is gone. */
  static read(transaction: Transaction, recordId: number): RecordDocument | undefined {
    const row = transaction.get(
      "SELECT states FROM inventory_document WHERE record_id = ?",
      recordId,
    );
    return row && new RecordDocument(transaction, recordId, JSON.parse(String(row["states"])));
  }

  get facets(): StoredFacet[] {
    return Object.entries(this.#states).map(([name, [hash, revision, at]]) => ({
      ...{ name, hash, revision, at },
    }));
  }

  /** The value that a facet has, as JSON text. */
  text(name: string): string | undefined {
    if (OWN_COLUMNS.has(name)) return this.#column(name);
    const others = this.#otherValues();
    return Object.hasOwn(others, name) ? JSON.stringify(others[name]) : undefined;
  }

  /** The parsed value that a facet has; undefined without one. */
  value(name: string): unknown {
    if (!OWN_COLUMNS.has(name)) {
      const others = this.#otherValues();
      return Object.hasOwn(others, name) ? others[name] : undefined;
    }
    const text = this.#column(name);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Sets a facet; `write` stores it. */
  set({ name, hash, revision, at, text }: FacetText): void {
    this.#states[name] = [hash, revision, at];
    if (OWN_COLUMNS.has(name)) this.#setColumn(name, text);
    else {
      this.#otherValues()[name] = JSON.parse(text);
      this.#changed.add(OTHERS);
    }
  }

  remove(name: string): void {
    delete this.#states[name];
    if (OWN_COLUMNS.has(name)) this.#setColumn(name, undefined);
    else {
      delete this.#otherValues()[name];
      this.#changed.add(OTHERS);
    }
  }

  write(): void {
    if (this.#changed.has(OTHERS)) this.#columns.set(OTHERS, JSON.stringify(this.#others));
    const columns = [...this.#changed];
    const values: SqlValue[] = columns.map((column) => this.#columns.get(column) ?? null);
    this.#transaction.run(
      `UPDATE inventory_document SET ${["states", ...columns].map((column) => `${column} = ?`).join(", ")}
       WHERE record_id = ?`,
      JSON.stringify(this.#states),
      ...values,
      this.#recordId,
    );
  }

  #setColumn(name: string, text: string | undefined): void {
    this.#columns.set(name, text);
    this.#changed.add(name);
  }

  #otherValues(): Record<string, unknown> {
    this.#others ??= JSON.parse(this.#column(OTHERS) ?? "{}") as Record<string, unknown>;
    return this.#others;
  }

  #column(column: string): string | undefined {
    if (!this.#columns.has(column)) {
      const row = this.#transaction.get(
        `SELECT ${column} AS text FROM inventory_document WHERE record_id = ?`,
        this.#recordId,
      );
      const text = row?.["text"];
      this.#columns.set(column, typeof text === "string" ? text : undefined);
    }
    return this.#columns.get(column);
  }
}

export function deleteDocument(transaction: Transaction, recordId: number): void {
  transaction.run("DELETE FROM inventory_document WHERE record_id = ?", recordId);
}
