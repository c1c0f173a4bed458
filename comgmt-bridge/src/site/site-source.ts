import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { ClientEventSink } from "../core/client-events.ts";
import type { InventorySink, InventorySource, KeyedReading } from "../core/ports.ts";
import { ClientEventRounds } from "./client-event-rounds.ts";
import { HotRounds } from "./hot-rounds.ts";
import { patiently } from "./patience.ts";
import { SilentClasses } from "./silent-classes.ts";
import { openReading, type SiteReading, type SiteReadingOptions } from "./site-reading.ts";
import { type ScanPeriods, SiteScan } from "./site-scan.ts";
import { tablesOf } from "./site-tables.ts";
import { readWhole, recordsOf } from "./whole-reading.ts";

export interface SiteSourceOptions extends SiteReadingOptions {
  /** The site's code. */
  readonly name: string;
  readonly kinds: readonly RecordKind[];
  readonly periods: ScanPeriods;
  readonly hotMs: number;
  /** Devices whose events are read in an hour, at most; none unless given. */
  readonly clientEventsPerHour?: number;
}

/** A Configuration Manager site as a source of inventory: a scan that reads everything, and rounds that look for what moved. */
export class SiteSource implements InventorySource {
  readonly type = "configmgr";
  readonly name: string;
  readonly kinds: readonly RecordKind[];
  readonly #options: SiteSourceOptions;
  readonly #events: ClientEventRounds | undefined;
  #reading: SiteReading | undefined;

  constructor(options: SiteSourceOptions) {
    this.#options = options;
    this.name = options.name;
    this.kinds = options.kinds;
    const { client, parts, observer, clientEventsPerHour: perHour = 0 } = options;
    // Their lists may hang while everything else is answered, and the other way round.
    const calls = new SilentClasses(client);
    if (perHour > 0) {
      this.#events = new ClientEventRounds({ client: calls, parts, observer, perHour });
    }
  }

  async run(sink: InventorySink, signal: AbortSignal): Promise<void> {
    const { periods, hotMs } = this.#options;
    const reading = await this.#open(signal);
    const ending = new AbortController();
    const both = AbortSignal.any([signal, ending.signal]);
    const onActive = (keys: readonly number[]) => this.#events?.noteActive(keys);
    const loops = [
      new SiteScan(reading, sink, periods).run(both),
      new HotRounds(reading, sink, hotMs, onActive).run(both),
    ];
    const events = this.#events?.run(sink, both);
    try {
      await Promise.race(events === undefined ? loops : [...loops, untilItFails(events)]);
    } finally {
      // Neither goes on without the other, and none writes once this has ended.
      ending.abort(new Error("the other loop ended"));
      await Promise.allSettled([...loops, events]);
    }
  }

  async read(
    kind: RecordKind,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<KeyedReading> {
    const reading = await this.#open(signal);
    const step = () => this.#readOf(reading, kind, keys, signal);
    const outcome = await patiently(step, reading.parts, signal);
    if (outcome.isDone) return outcome.value;
    throw outcome.fault;
  }

  async readEvents(
    keys: readonly string[],
    sink: ClientEventSink,
    signal: AbortSignal,
  ): Promise<void> {
    const numbers = keys.map(Number).filter((key) => Number.isSafeInteger(key));
    await this.#events?.readNow(numbers, sink, signal);
  }

  async #readOf(
    reading: SiteReading,
    kind: RecordKind,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<KeyedReading> {
    const asking = { lane: "hint", signal } as const;
    const tables = await reading.tablesOf(kind, signal);
    if (tables === undefined) return { facets: [], records: [] };
    if (tables.isInRanges) {
      const numbers = keys.map(Number).filter((key) => Number.isSafeInteger(key));
      const scope = kind === "device" ? reading.scope : { collections: [] };
      const all = { kind: tables, tables: tablesOf(tables), scope };
      return await reading.keyed.read(all, numbers, asking);
    }
    const { rows } = await readWhole(reading.wholeReader, tables.spine, asking);
    const wanted = new Set(keys);
    const records = recordsOf(tables, rows).filter(({ key }) => wanted.has(key));
    const [whole] = await reading.completed(kind, tables, records, asking);
    return { ...whole, pages: [tables.spine.table.id] };
  }

  async #open(signal: AbortSignal): Promise<SiteReading> {
    this.#reading ??= await openReading(this.#options, signal);
    return this.#reading;
  }
}

/** The others go on where nobody takes events. */
async function untilItFails(events: Promise<void>): Promise<never> {
  await events;
  return await new Promise<never>(() => {});
}
