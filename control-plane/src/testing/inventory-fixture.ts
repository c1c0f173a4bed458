import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { facetHash } from "@isthmus/shared/link/inventory-digest";
import type {
  InventoryEntry,
  InventoryRecord,
  Lease,
} from "@isthmus/shared/link/inventory-messages";
import type { Service } from "@isthmus/shared/link/messages";
import { openStore } from "@isthmus/shared/store/store";
import type { LeaseClaim } from "../core/link-records.ts";
import type { operations } from "../store/module.ts";
import { batchPayload } from "./batch-payload.ts";

/** For tests: a store with connectors that tell of inventory. */

export const START = 1_750_000_000_000;

type RecordsEntry = Extract<InventoryEntry, { readonly type: "records" }>;

/** A record of a device as a bridge tells it; hashes are those of the values. */
export function told(
  key: string,
  revision: number,
  facets: Readonly<Record<string, unknown>>,
  more: Partial<InventoryRecord> = {},
): InventoryRecord {
  const changes = Object.entries(facets).map(([name, value]) => [
    name,
    { hash: facetHash(JSON.stringify(value)), value },
  ]);
  const record = { kind: "device", key, revision, at: START + revision, isWhole: false } as const;
  return { ...record, facets: Object.fromEntries(changes), ...more };
}

export function recordsOf(lease: number, ...records: InventoryRecord[]): RecordsEntry {
  return { type: "records", source: "CM1", lease, records };
}

/** One connector with its session and the seq of its stream. */
export class TellingConnector {
  readonly id: string;
  readonly #store: InventoryStore;
  #sessionNo = 0;
  #seq = 0;

  constructor(store: InventoryStore, id: string) {
    this.#store = store;
    this.id = id;
  }

  async enrol(service: Service): Promise<void> {
    const claim = { secretHash: this.id, service, displayName: `Bridge ${this.id}` };
    await this.#store.run("createEnrolmentToken", {
      ...claim,
      expiresAt: START + 1,
      actor: "a",
      now: START,
    });
    const key = { publicKeyX: this.id, newConnectorId: this.id, now: START };
    await this.#store.run("claimEnrolmentToken", { ...claim, ...key });
    await this.connect(0);
  }

  async connect(epoch: number): Promise<void> {
    const { admission } = await this.#store.run("acceptConnector", {
      connectorId: this.id,
      bootId: "boot",
      epoch,
      lastSeq: { inventory: this.#seq },
      commandSeq: 0,
      configurationVersion: 0,
      clockOffsetMs: 0,
      now: START,
    });
    this.#sessionNo = admission?.sessionNo ?? 0;
  }

  lease(claim: Partial<LeaseClaim> = {}): Promise<Lease | undefined> {
    return this.#store.run("renewLease", {
      connectorId: this.id,
      sessionNo: this.#sessionNo,
      source: "CM1",
      sourceType: "configmgr",
      lease: 0,
      isGivenUp: false,
      now: START,
      ...claim,
    });
  }

  tell(...entries: readonly unknown[]) {
    return this.tellLines(entries.map((entry) => JSON.stringify(entry)));
  }

  tellLines(
    lines: readonly string[],
    of: { readonly firstSeq?: number; readonly now?: number; readonly stream?: string } = {},
  ) {
    const firstSeq = of.firstSeq ?? this.#seq + 1;
    this.#seq = Math.max(this.#seq, firstSeq + lines.length - 1);
    return this.#store.run("ingestBatch", {
      connectorId: this.id,
      sessionNo: this.#sessionNo,
      stream: of.stream ?? "inventory",
      firstSeq,
      entryCount: lines.length,
      isAfterPruned: false,
      ...batchPayload(lines),
      now: of.now ?? START,
    });
  }
}

function openInventoryStore(file: string) {
  const module = new URL("../store/module.ts", import.meta.url);
  return openStore<typeof operations>({ file, module });
}
export type InventoryStore = Awaited<ReturnType<typeof openInventoryStore>>;

/** A store of its own with one bridge, which has no lease yet. */
export async function inventoryFixture() {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-inventory-"));
  const store = await openInventoryStore(join(folder, "store.db"));
  const connector = async (id: string, service: Service = "comgmt-bridge") => {
    const made = new TellingConnector(store, id);
    await made.enrol(service);
    return made;
  };
  const rows = (sql: string, ...values: (string | number)[]) => store.query(sql, values, 100_000);
  return {
    store,
    rows,
    connector,
    bridge: await connector("bridge"),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
