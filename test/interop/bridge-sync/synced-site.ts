import { setTimeout as pauseFor } from "node:timers/promises";
import { SourceObserver } from "@isthmus/comgmt-bridge/main/source-observer";
import { SourceSink } from "@isthmus/comgmt-bridge/main/source-sink";
import type { AdminServiceClient } from "@isthmus/comgmt-bridge/site/admin-service-client";
import { SiteSource } from "@isthmus/comgmt-bridge/site/site-source";
import type { BridgeOperations } from "@isthmus/comgmt-bridge/store/module";
import { clientOf } from "@isthmus/comgmt-bridge/testing/site-under-test";
import { TOKEN } from "@isthmus/comgmt-bridge/testing/strict-admin-service";
import { type Clock, systemClock } from "@isthmus/shared/clock";
import type { ClientEvent } from "@isthmus/shared/link/client-events";
import { DEFAULT_INVENTORY_CLASSES } from "@isthmus/shared/link/desired-sites";
import {
  INVENTORY_STREAM,
  type InventoryEntry,
  inventoryEntry,
  type RecordKind,
} from "@isthmus/shared/link/inventory-messages";
import { lineOf, STORED_ENTRIES } from "@isthmus/shared/link/lane-operations";
import { systemRandom } from "@isthmus/shared/random";
import { openStore, type Store } from "@isthmus/shared/store/store";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { type Site, startSite } from "../../simulators/configmgr/site.ts";
import type { SiteOptions } from "../../simulators/configmgr/site-options.ts";

const MODULE = new URL(import.meta.resolve("@isthmus/comgmt-bridge/store/module"));
export const FIRST = 16_777_216;
const SOURCE = "CM1";
const LEASE = 1;

export interface SyncedSiteOptions {
  readonly site?: SiteOptions;
  readonly inventoryClasses?: readonly string[];
  readonly collections?: readonly string[];
  readonly areApplicationStatesRead?: boolean;
  readonly areBoundaryGroupsRead?: boolean;
  readonly pageRows?: number;
  readonly timeoutMs?: number;
  readonly breakerFailures?: number;
  /** Of the loops: by default scans go one behind the other, and rounds of changes hardly at all. */
  readonly truthMs?: number;
  readonly wholeMs?: number;
  readonly hotMs?: number;
  readonly clientEventsPerHour?: number;
  /** The system's unless given. */
  readonly clock?: Clock;
  /** Called when all ranges of a scan of devices were read, and when it has ended. */
  readonly onRangesRead?: () => void;
  readonly onScanEnded?: () => void;
}

/** A record as the entries of the stream have it. */
export type Told = Readonly<Record<string, unknown>>;

export function nameOf(device: Told | undefined): string | undefined {
  return (device?.["identity"] as { readonly Name?: string } | undefined)?.Name;
}

/** A simulated site, a real store, and the bridge's source between them; in place of the control plane the entries of the stream. */
export class SyncedSite implements AsyncDisposable {
  readonly site: Site;
  readonly observer = new SourceObserver(
    () => Date.now(),
    ({ code }) => this.faults.push(code),
    (event) => this.said.push(event),
  );
  /** Codes of faults, each as it was seen first. */
  readonly faults: string[] = [];
  /** What the observer has to say to the control plane, by name. */
  readonly said: string[] = [];
  readonly store: Store<BridgeOperations>;
  #options: SyncedSiteOptions;
  readonly #folder: ReturnType<typeof temporaryFolder>;
  #client: AdminServiceClient | undefined;
  #running: { readonly ending: AbortController; readonly ended: Promise<unknown> } | undefined;
  #source: SiteSource | undefined;
  #position = 0;
  readonly #records = new Map<string, Map<string, Record<string, unknown>>>();
  readonly events: string[] = [];
  /** Records that were told as deleted. */
  deletions = 0;
  /** By device, in the order in which they were told. */
  readonly clientEvents = new Map<string, ClientEvent[]>();

  private constructor(
    site: Site,
    store: Store<BridgeOperations>,
    folder: ReturnType<typeof temporaryFolder>,
    options: SyncedSiteOptions,
  ) {
    this.site = site;
    this.store = store;
    this.#folder = folder;
    this.#options = options;
  }

  static async start(options: SyncedSiteOptions = {}): Promise<SyncedSite> {
    const tokens = { [TOKEN]: { name: "CORP\\isthmus" } };
    const fleet = { devices: 700, users: 20, applications: 5, updates: 12, onlineShare: 1 };
    const site = await startSite({ ...fleet, siteCode: SOURCE, tokens, ...options.site });
    const folder = temporaryFolder();
    const place = await newStorePlace(folder.path);
    const store = await openStore<BridgeOperations>({ ...place, module: MODULE });
    await store.run("takeLease", { source: SOURCE, lease: LEASE, revision: 0, at: Date.now() });
    return new SyncedSite(site, store, folder, options);
  }

  /** Starts the source; `end` ends it, as a restart of the bridge does. */
  run(): void {
    const { site, observer } = this;
    const { pageRows = 1_000, timeoutMs = 5_000, hotMs = 3_600_000 } = this.#options;
    const { breakerFailures = 100 } = this.#options;
    const limits = {
      pageRows,
      breakerFailures,
      maxAnswerBytes: 67_108_864,
      requestsPerSecond: 200,
    };
    this.#client = clientOf(site, {
      limits: { ...limits, timeoutMs, firstByteTimeoutMs: timeoutMs, breakerOpenMs: 100 },
    });
    const ending = new AbortController();
    const source = new SiteSource({
      name: SOURCE,
      kinds: ["device"],
      client: this.#client,
      pageRows,
      wanted: {
        inventoryClasses: this.#options.inventoryClasses ?? DEFAULT_INVENTORY_CLASSES,
        isUpdateComplianceRead: true,
        areApplicationStatesRead: this.#options.areApplicationStatesRead ?? false,
        areBoundaryGroupsRead: this.#options.areBoundaryGroupsRead ?? false,
        collections: this.#options.collections ?? [],
      },
      // Waits are shortened: what is waited for in a test is seen, never timed.
      parts: {
        clock: this.#options.clock ?? systemClock,
        random: systemRandom,
        pause: (ms, signal) => pauseFor(ms > 60_000 ? ms : Math.min(ms, 50), undefined, { signal }),
      },
      observer,
      periods: { truthMs: this.#options.truthMs ?? 1, wholeMs: this.#options.wholeMs ?? 3_600_000 },
      hotMs,
      clientEventsPerHour: this.#options.clientEventsPerHour ?? 0,
    });
    this.#source = source;
    const ended = source.run(this.sink(), ending.signal).catch((error: unknown) => {
      if (!ending.signal.aborted) throw error;
    });
    this.#running = { ending, ended };
  }

  /** The same bridge with other wishes, from its next start on. */
  with(options: SyncedSiteOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }

  /** As `site.refresh` does with a device. */
  async readEvents(...keys: number[]): Promise<void> {
    const { clientEvents } = this.sink();
    const { signal } = new AbortController();
    if (clientEvents === undefined) return;
    await this.#source?.readEvents(keys.map(String), clientEvents, signal);
  }

  sink(): SourceSink {
    const { store, observer } = this;
    const deletions = { maxShare: 0.02, minimum: 5 };
    const of = { source: SOURCE, lease: LEASE, store, clock: systemClock, observer, deletions };
    const { onRangesRead = () => {}, onScanEnded = () => {} } = this.#options;
    const sink = new SourceSink({ ...of, wake: () => {} });
    const [leaving, endScan] = [sink.leaving.bind(sink), sink.endScan.bind(sink)];
    return Object.assign(sink, {
      leaving(kind: RecordKind, beganAt: number) {
        if (kind === "device") onRangesRead();
        return leaving(kind, beganAt);
      },
      async endScan(kind: RecordKind, beganAt: number) {
        const ended = await endScan(kind, beganAt);
        if (kind === "device") onScanEnded();
        return ended;
      },
    });
  }

  async end(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.ending.abort(new Error("the test ends it"));
    await running?.ended;
    this.#client?.[Symbol.dispose]();
  }

  /** Complete scans of a kind. */
  async scans(kind: RecordKind = "device"): Promise<number> {
    const figures = await this.figures(kind);
    return figures?.completeScans ?? 0;
  }

  async figures(kind: RecordKind = "device") {
    const all = await this.store.run("sourceFigures", {});
    return all.find((each) => each.kind === kind);
  }

  async untilScans(count: number, kind: RecordKind = "device"): Promise<void> {
    await until(async () => (await this.scans(kind)) >= count, `${count} scans`, 60_000);
  }

  /** What was told of a kind, by key. */
  async told(kind: RecordKind = "device"): Promise<ReadonlyMap<string, Told>> {
    await this.#take();
    return this.#records.get(kind) ?? new Map();
  }

  /** Waits until it is so of what was told of a device. */
  async untilTold(
    key: number | string,
    isSo: (record: Told | undefined) => boolean,
  ): Promise<void> {
    const told = async () => (await this.told()).get(String(key));
    await until(async () => isSo(await told()), `what was told of ${key}`, 60_000);
  }

  async #take(): Promise<void> {
    const rows = await this.store.query(
      `SELECT position, entry, bytes FROM ${STORED_ENTRIES} WHERE stream = ? AND position > ? ORDER BY position LIMIT 5000`,
      [INVENTORY_STREAM, this.#position],
      5_000,
    );
    for (const row of rows) {
      this.#position = Number(row["position"]);
      this.#apply(inventoryEntry.parse(JSON.parse(lineOf(row))));
    }
  }

  #apply(entry: InventoryEntry): void {
    if (entry.type === "event") this.events.push(entry.event);
    if (entry.type === "client-events") {
      this.clientEvents.set(entry.key, [
        ...(this.clientEvents.get(entry.key) ?? []),
        ...entry.events,
      ]);
    }
    if (entry.type === "deleted") {
      this.deletions += entry.keys.length;
      for (const key of entry.keys) this.#records.get(entry.kind)?.delete(key);
    }
    if (entry.type !== "records") return;
    for (const { kind, key, facets } of entry.records) {
      const records = this.#records.get(kind) ?? new Map<string, Record<string, unknown>>();
      this.#records.set(kind, records);
      const record = records.get(key) ?? {};
      records.set(key, record);
      for (const [name, { value }] of Object.entries(facets)) record[name] = value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await this.store[Symbol.asyncDispose]();
    await this.site[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}
