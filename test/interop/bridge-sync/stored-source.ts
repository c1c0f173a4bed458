import { SourceObserver } from "@isthmus/comgmt-bridge/main/source-observer";
import { SourceSink } from "@isthmus/comgmt-bridge/main/source-sink";
import type { BridgeOperations } from "@isthmus/comgmt-bridge/store/module";
import type { Clock } from "@isthmus/shared/clock";
import {
  INVENTORY_STREAM,
  type InventoryEntry,
  type InventoryRecord,
  inventoryEntry,
  type RecordKind,
} from "@isthmus/shared/link/inventory-messages";
import { lineOf, STORED_ENTRIES } from "@isthmus/shared/link/lane-operations";
import { openStore, type Store } from "@isthmus/shared/store/store";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";

const MODULE = new URL(import.meta.resolve("@isthmus/comgmt-bridge/store/module"));
const LEASE = 1;

/** The bridge's own store and sink for one source, and what is in the stream after. */
export class StoredSource implements AsyncDisposable {
  readonly store: Store<BridgeOperations>;
  readonly sink: SourceSink;
  readonly observer: SourceObserver;
  readonly #folder: Disposable;

  private constructor(
    store: Store<BridgeOperations>,
    source: string,
    clock: Clock,
    folder: Disposable,
  ) {
    this.store = store;
    this.#folder = folder;
    this.observer = new SourceObserver(
      () => clock.now(),
      () => {},
    );
    const deletions = { maxShare: 0.5, minimum: 5 };
    const of = { source, lease: LEASE, store, clock, observer: this.observer, deletions };
    this.sink = new SourceSink({ ...of, wake: () => {} });
  }

  static async open(source: string, clock: Clock): Promise<StoredSource> {
    const folder = temporaryFolder();
    const place = await newStorePlace(folder.path);
    const store = await openStore<BridgeOperations>({ ...place, module: MODULE });
    await store.run("takeLease", { source, lease: LEASE, revision: 0, at: clock.now() });
    return new StoredSource(store, source, clock, folder);
  }

  /** All entries, each as the wire's own schema reads it. */
  async entries(): Promise<InventoryEntry[]> {
    const rows = await this.store.query(
      `SELECT entry, bytes FROM ${STORED_ENTRIES} WHERE stream = ? ORDER BY position LIMIT 5000`,
      [INVENTORY_STREAM],
      5_000,
    );
    return rows.map((row) => inventoryEntry.parse(JSON.parse(lineOf(row))));
  }

  /** Records of a kind as the control plane would have them. */
  async told(kind: RecordKind): Promise<Map<string, Record<string, unknown>>> {
    const records = new Map<string, Record<string, unknown>>();
    for (const entry of await this.entries()) {
      if (entry.type === "records") take(records, kind, entry.records);
      if (entry.type !== "deleted" || entry.kind !== kind) continue;
      for (const key of entry.keys) records.delete(key);
    }
    return records;
  }

  async figures(kind: RecordKind) {
    const all = await this.store.run("sourceFigures", {});
    return all.find((each) => each.kind === kind);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

function take(
  records: Map<string, Record<string, unknown>>,
  kind: RecordKind,
  told: readonly InventoryRecord[],
): void {
  for (const { key, facets } of told.filter((each) => each.kind === kind)) {
    const record = records.get(key) ?? {};
    records.set(key, record);
    for (const [name, { value }] of Object.entries(facets)) record[name] = value;
  }
}
