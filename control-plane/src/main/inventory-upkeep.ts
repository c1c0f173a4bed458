import { InventoryCount } from "../store/inventory-count.ts";
import type { InventoryRetention } from "../store/inventory-retention.ts";
import type { ControlPlaneStore } from "../store/records.ts";

/** Own limits of a round: transactions that throw rows away, and slices of records that are counted. */
const PRUNINGS_AT_ONCE = 20;
const SLICES_AT_ONCE = 40;

/** Throws old inventory away, and counts what sources take: a round each minute, each a part of the whole. */
export class InventoryUpkeep {
  readonly #store: ControlPlaneStore;
  readonly #retention: InventoryRetention;
  #count: InventoryCount | undefined;

  constructor(store: ControlPlaneStore, retention: InventoryRetention) {
    this.#store = store;
    this.#retention = retention;
  }

  async round(now: number): Promise<void> {
    await this.#prune(now);
    await this.#store.run("reviewInventoryQuota", { now });
    await this.#countOn(now);
  }

  /** A fleet makes more rows in a day than one transaction may take: several a minute, and the rest in the next. */
  async #prune(now: number): Promise<void> {
    const { historyDays, timelineDays } = this.#retention;
    for (let turn = 0; turn < PRUNINGS_AT_ONCE; turn++) {
      const days = { historyDays, timelineDays };
      const { isMore } = await this.#store.run("pruneInventory", { now, ...days });
      if (!isMore) return;
    }
  }

  async #countOn(now: number): Promise<void> {
    this.#count ??= await InventoryCount.begin(this.#store);
    for (let slice = 0; slice < SLICES_AT_ONCE; slice++) {
      const counted = await this.#count.step(this.#store);
      if (counted === undefined) continue;
      await this.#store.run("storeInventoryCount", { now, counted });
      this.#count = undefined;
      return;
    }
  }
}
