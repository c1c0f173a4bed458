import { ConnectorError } from "@isthmus/shared/errors";
import { mayDoWithout } from "../core/site-table.ts";
import type { CollectionScope } from "./range-reading.ts";
import type { KindOfSite, LaidOutTable } from "./site-tables.ts";
import type { TableReader } from "./table-reader.ts";
import { isUntrusted, isUnusableAnswer } from "./unusable-answer.ts";

/** Own choice: below how often what cannot be trusted is read again, so that the same reading ends without the table. */
const FAILURES = 2;

/** Where a reading fails: a page that comes may still be none that can be used. */
type Stage = "asked" | "looked-into";

interface Known {
  /** Name of the class. */
  readonly of: string;
  readonly stage: Stage;
  readonly count: number;
  /** How much of other tables had been read when it last failed. */
  readonly successes: number;
  readonly isLeftOut: boolean;
}

/**
 * Tables whose answers are always broken, or never come, while those of others are in order. Each is left out for the rest of the scan: its facets stay as
 * they were, and everything else goes on. What records there are is none of its business, so nothing is deleted for it.
 */
export class TableFaults {
  readonly #known = new Map<string, Known>();
  readonly #onFault: (table: string, fault: ConnectorError | undefined) => void;
  #successes = 0;

  /** `onFault` is told when a table is left out, and when it is read again. */
  constructor(onFault: (table: string, fault: ConnectorError | undefined) => void) {
    this.#onFault = onFault;
  }

  /** A scan begins: what was left out is tried once more, and left out at the first fault. */
  tryAgain(): void {
    for (const [id, known] of this.#known) this.#known.set(id, { ...known, isLeftOut: false });
  }

  /** Whether a table of this class was left out, and none of it was read since. */
  hasFailed(className: string): boolean {
    return [...this.#known.values()].some(({ of, count }) => of === className && count >= FAILURES);
  }

  /** The kind without what is left out. */
  without(kind: KindOfSite): KindOfSite {
    const leftOut = new Set(
      kind.others.map(({ table }) => table.id).filter((id) => this.#known.get(id)?.isLeftOut),
    );
    if (leftOut.size === 0) return kind;
    const others = kind.others.filter(({ table }) => !leftOut.has(table.id));
    return {
      ...{ ...kind, others, isAllThereIs: false },
      leftOut: new Set([...(kind.leftOut ?? []), ...leftOut]),
    };
  }

  /** A reader that notes whose answers can be used. */
  watching(
    reader: Pick<TableReader, "fetch" | "rows">,
    of: { readonly kind: KindOfSite; readonly scope: CollectionScope },
  ): Pick<TableReader, "fetch" | "rows"> {
    return {
      fetch: (table, ...more) =>
        this.noting({ ...of, table, stage: "asked" }, () => reader.fetch(table, ...more)),
      rows: (bytes, ...more) =>
        this.noting({ ...of, table: bytes.table, stage: "looked-into" }, () =>
          reader.rows(bytes, ...more),
        ),
    };
  }

  async noting<Value>(
    of: {
      readonly kind: KindOfSite;
      readonly scope: CollectionScope;
      readonly table: LaidOutTable;
      readonly stage: Stage;
    },
    read: () => Promise<Value>,
  ): Promise<Value> {
    try {
      const value = await read();
      this.#succeeded(of.table, of.stage);
      return value;
    } catch (error) {
      const { kind, scope, table, stage } = of;
      const isScoped = scope.collections.length > 0;
      if (isOfTheTable(error) && mayDoWithout(kind.spine.table, table.table, isScoped)) {
        this.#failed(table, stage, error);
      }
      throw error;
    }
  }

  #succeeded({ table: { id, of } }: LaidOutTable, stage: Stage): void {
    this.#successes += 1;
    const known = this.#known.get(id);
    if (known === undefined || (known.stage === "looked-into" && stage === "asked")) return;
    this.#known.delete(id);
    if (known.count >= FAILURES) this.#onFault(of.name, undefined);
  }

  #failed({ table: { id, of } }: LaidOutTable, stage: Stage, fault: ConnectorError): void {
    const known = this.#known.get(id);
    // Where nothing else was read since, the site itself may be at fault.
    if (this.#successes === (known?.successes ?? 0)) return;
    const count = (known?.count ?? 0) + 1;
    const isLeftOut = count >= FAILURES;
    this.#known.set(id, { of: of.name, stage, count, successes: this.#successes, isLeftOut });
    if (isLeftOut) this.#onFault(of.name, fault);
  }
}

function isOfTheTable(error: unknown): error is ConnectorError {
  return error instanceof ConnectorError && (isUntrusted(error) || isUnusableAnswer(error));
}
