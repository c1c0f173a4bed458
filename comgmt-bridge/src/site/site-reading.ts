import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import { type DeviceTablesWanted, deviceTables } from "../core/device-tables.ts";
import type { ReadRecord } from "../core/inventory-state.ts";
import { OTHER_KINDS } from "../core/list-tables.ts";
import type { KeyedReading } from "../core/ports.ts";
import type { KindTables } from "../core/site-table.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import type { AdminServiceClient, Asking } from "./admin-service-client.ts";
import { KeyedReader } from "./keyed-reader.ts";
import { type Outcome, type PatienceParts, patiently } from "./patience.ts";
import { probeCapabilities, type SiteCapabilities } from "./probe-capabilities.ts";
import type { CollectionScope, RangeReader } from "./range-reading.ts";
import { SCRIPT_CONTENT_FACET, ScriptContents } from "./script-contents.ts";
import { SilentClasses } from "./silent-classes.ts";
import { facetsOfTables, type KindOfSite, probeKind } from "./site-tables.ts";
import { TableFaults } from "./table-faults.ts";
import { TableReader } from "./table-reader.ts";
import type { WholeReader } from "./whole-reading.ts";

/** The collection of all devices, and that of all users; their counts say how long a first scan is. */
const EVERYBODY: Partial<Record<RecordKind, string>> = { device: "SMS00001", user: "SMS00002" };
/** A class that is not there, or not for us, is looked for again in the next scan. */
const UNREADABLE = new Set([
  "site-not-found",
  "site-forbidden",
  "site-bad-request",
  "site-table-key",
]);

const ONE_AT_A_TIME =
  "the site does not answer filters over several ranges, or keys, as it answers them one by one, so it is asked for one at a time, which takes more requests";

export interface SiteWanted extends DeviceTablesWanted {
  /** Only members of these collections; all devices where there are none. */
  readonly collections: readonly string[];
}

export interface SiteObserver {
  requests(count: number): void;
  rows(count: number): void;
  fault(code: string, message: string): void;
  /** Something about the site itself that is said once. */
  event?(event: string, message: string): void;
  /** A table is left out for this fault; undefined once it is read again. */
  table?(
    name: string,
    fault: { readonly code: string; readonly message: string } | undefined,
  ): void;
}

export interface SiteReadingOptions {
  readonly client: AdminServiceClient;
  readonly pageRows: number;
  readonly wanted: SiteWanted;
  readonly parts: Omit<PatienceParts, "onFault">;
  readonly observer: SiteObserver;
}

/** A site with all that was learnt about it: what its provider can do, how its tables look, how long their lists are. */
export class SiteReading {
  readonly kinds: readonly RecordKind[];
  readonly client: AdminServiceClient;
  readonly parts: PatienceParts;
  readonly keyed: KeyedReader;
  readonly wholeReader: WholeReader;
  readonly scope: CollectionScope;
  readonly #options: SiteReadingOptions;
  readonly #catalogue: ReadonlyMap<RecordKind, KindTables>;
  readonly #tables: TableReader;
  readonly #faults: TableFaults;
  readonly #scripts: ScriptContents;
  readonly #pages: SilentClasses;
  readonly #probed = new Map<RecordKind, KindOfSite>();
  /** Those of which the last probe could not say what they are like. */
  readonly #unsure = new Set<RecordKind>();
  #isOneAtATime = false;
  readonly #expected = new Map<RecordKind, number>();

  constructor(options: SiteReadingOptions, capabilities: SiteCapabilities) {
    const { client, observer, wanted } = options;
    // Where it cuts long lists it says so, and gives no more than that at once.
    const pageRows = capabilities.nextLink
      ? Math.max(1, Math.min(options.pageRows, capabilities.pageRows))
      : options.pageRows;
    this.#options = options;
    this.client = client;
    this.scope = { collections: wanted.collections };
    this.parts = { ...options.parts, onFault: (code, message) => observer.fault(code, message) };
    const catalogue = inOrder(deviceTables(wanted));
    this.#catalogue = new Map(catalogue.map((each) => [each.kind, each]));
    this.kinds = [...this.#catalogue.keys()];
    const isOrdered = capabilities.orderBy === true;
    const onRead = (_table: string, requests: number) => observer.requests(requests);
    const onTable = (name: string, fault: ConnectorError | undefined) =>
      observer.table?.(name, fault);
    this.#pages = new SilentClasses(client, (name, fault) => {
      // That a probe of one row is answered does not yet say that it can be read.
      if (fault !== undefined || !this.#faults.hasFailed(name)) onTable(name, fault);
    });
    const shared = { client: this.#pages, pageRows, isOrdered, onRead };
    this.wholeReader = shared;
    const onOneAtATime = ({ message }: Error) => this.#tellOneAtATime(message);
    this.#tables = new TableReader({ ...shared, onOneAtATime });
    this.#faults = new TableFaults(onTable);
    const onRows = (rows: number) => observer.rows(rows);
    this.keyed = new KeyedReader({ ...shared, onRows, onOneAtATime, faults: this.#faults });
    this.#scripts = new ScriptContents(this.#pages);
  }

  /** Once, of ranges or of keys, whichever it shows at first. */
  #tellOneAtATime(why: string): void {
    if (this.#isOneAtATime) return;
    this.#isOneAtATime = true;
    const { observer } = this.#options;
    observer.event?.("filters.one-range-at-a-time", `${ONE_AT_A_TIME}: ${why}`);
  }

  /** Looks at the tables of a kind: undefined where the site has none for us. Not done where its answers cannot be used. */
  async probe(kind: RecordKind, signal: AbortSignal): Promise<Outcome<KindOfSite | undefined>> {
    const catalogue = this.#catalogue.get(kind);
    if (catalogue === undefined) return { isDone: true, value: undefined };
    const asking = { lane: "snapshot", signal } as const;
    const scope = kind === "device" ? this.scope.collections : [];
    if (kind === "device") this.#faults.tryAgain();
    const looked = await patiently(
      () => unlessUnreadable(probeKind(this.#pages, catalogue, scope, asking)),
      this.parts,
      signal,
    );
    if (!looked.isDone) this.#unsure.add(kind);
    else this.#unsure.delete(kind);
    const found = looked.isDone ? looked.value : undefined;
    if (found === undefined) this.#probed.delete(kind);
    else this.#probed.set(kind, found);
    return looked;
  }

  /** As last probed; probed now where it never was. The next scan looks again at a kind of which nothing could be said. */
  async tablesOf(kind: RecordKind, signal: AbortSignal): Promise<KindOfSite | undefined> {
    const known = this.#probed.get(kind);
    if (known !== undefined) return this.#faults.without(known);
    if (this.#unsure.has(kind)) return undefined;
    const looked = await this.probe(kind, signal);
    return looked.isDone && looked.value ? this.#faults.without(looked.value) : undefined;
  }

  rangeReader(kind: KindOfSite, pageKey: Buffer): RangeReader {
    const { observer } = this.#options;
    const scope = kind.kind === "device" ? this.scope : { collections: [] };
    const reader = this.#faults.watching(this.#tables, { kind, scope });
    const onRows = (rows: number) => observer.rows(rows);
    return { kind: this.#faults.without(kind), scope, reader, pageKey, onRows };
  }

  /**
   * Adds what comes only by key. Where that cannot be had of all of them, the first part has every record without it, and the second those
   * of which it could.
   */
  async completed(
    kind: RecordKind,
    { spine }: KindOfSite,
    records: readonly ReadRecord[],
    asking: Asking,
  ): Promise<readonly [KeyedReading, KeyedReading?]> {
    const facets = [...facetsOfTables([spine])];
    if (kind !== "script") return [{ facets, records }];
    const added = await this.#scripts.addTo(records, asking);
    const whole = { facets: [...facets, SCRIPT_CONTENT_FACET], records: added.records };
    if (added.unread.size === 0) return [whole];
    const read = added.records.filter(({ key }) => !added.unread.has(key));
    return [
      { facets, records },
      { ...whole, records: read },
    ];
  }

  /** Takes from collections how many devices and users there are. */
  learn(kind: RecordKind, rows: readonly Row[]): void {
    this.#options.observer.rows(rows.length);
    if (kind !== "collection") return;
    for (const [of, id] of Object.entries(EVERYBODY)) {
      const count = rows.find((row) => row["CollectionID"] === id)?.["MemberCount"];
      if (typeof count === "number") this.#expected.set(of as RecordKind, count);
    }
  }

  expected(kind: RecordKind): number | undefined {
    return this.#expected.get(kind);
  }
}

/** Lists that people choose from come first, and are short; then devices, which everybody waits for. */
function inOrder(devices: KindTables): readonly KindTables[] {
  const [collections, ...others] = OTHER_KINDS;
  return [...(collections === undefined ? [] : [collections]), devices, ...others];
}

async function unlessUnreadable(probing: Promise<KindOfSite>): Promise<KindOfSite | undefined> {
  try {
    return await probing;
  } catch (error) {
    if (error instanceof ConnectorError && UNREADABLE.has(codeOf(error))) return undefined;
    throw error;
  }
}

/** Learns what the provider can do, however long it takes until it answers. Throws the signal's reason. */
export async function openReading(
  options: SiteReadingOptions,
  signal: AbortSignal,
): Promise<SiteReading> {
  const { client, pageRows, parts, observer } = options;
  const onFault = (code: string, message: string) => observer.fault(code, message);
  const asking = { lane: "hint", signal } as const;
  for (;;) {
    const probe = () => probeCapabilities(client, pageRows, asking);
    const seen = await patiently(probe, { ...parts, onFault }, signal);
    if (seen.isDone && seen.value.greaterThan !== false)
      return new SiteReading(options, seen.value);
    await parts.pause(60_000, signal);
  }
}
