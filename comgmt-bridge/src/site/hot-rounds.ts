import { codeOf } from "@isthmus/shared/errors";
import { facetHash } from "@isthmus/shared/link/inventory-digest";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import { type HotStamps, readStamps, SeenRows, since } from "../core/hot-stamps.ts";
import { MAX_KEY } from "../core/key-ranges.ts";
import type { InventorySink } from "../core/ports.ts";
import { msUntil } from "../core/wait-until.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { readPlainRows } from "../protocol/admin-service/page-rows.ts";
import { compare, type Filter } from "../protocol/admin-service/query.ts";
import type { Asking } from "./admin-service-client.ts";
import { DeploymentSummaries } from "./deployment-summaries.ts";
import { patiently } from "./patience.ts";
import { RecordAssembly } from "./record-assembly.ts";
import { isClassIll } from "./silent-classes.ts";
import type { SiteReading } from "./site-reading.ts";
import { facetsOfTables, type KindOfSite, type LaidOutTable, tablesOf } from "./site-tables.ts";
import { isUnusableAnswer } from "./unusable-answer.ts";
import { readWhole, recordsOf } from "./whole-reading.ts";

const STAMPS = "hot";
/** Own limit: devices that are read between two looks at the backlog. */
const DEVICES_AT_ONCE = 500;

/** Devices' own stamps, all in one table. */
const ACTIVITY = "Device.activity";
const ACTIVITY_STAMPS = ["LastActiveTime", "CNLastOnlineTime", "CNLastOfflineTime", "LastDDR"];
/** Of these, the one that says that what was discovered of a device may be another. */
const DISCOVERY_STAMP = "LastDDR";
const SCAN_STATUS = {
  of: { route: "wmi", name: "SMS_G_System_WORKSTATION_STATUS" },
  keyName: "ResourceID",
  stamp: "LastHardwareScan",
} as const;
/** Lists whose rows say when they changed. */
const LIST_STAMPS: Partial<Record<RecordKind, readonly string[]>> = {
  collection: ["LastMemberChangeTime", "LastChangeTime"],
  application: ["DateLastModified"],
  script: ["LastUpdateTime"],
};

/**
 * Looks every few seconds for what moved: its cost follows the changes, not the fleet. It reads stamps of devices, of hardware scans and
 * of lists, and keys above the highest that is known, then whole rows of what moved.
 */
export class HotRounds {
  readonly #reading: SiteReading;
  readonly #sink: InventorySink;
  readonly #everyMs: number;
  readonly #summaries: DeploymentSummaries;
  readonly #onActive: ((keys: readonly number[]) => void) | undefined;
  #seen = new SeenRows();
  #stamps: HotStamps = readStamps(undefined);
  /** Whether there is something that a later run must not read again. */
  #isToKeep = false;
  #hasScanStatus: boolean | undefined;

  constructor(
    reading: SiteReading,
    sink: InventorySink,
    everyMs: number,
    /** Told of devices that were heard of. */
    onActive?: (keys: readonly number[]) => void,
  ) {
    this.#reading = reading;
    this.#sink = sink;
    this.#everyMs = everyMs;
    this.#onActive = onActive;
    this.#summaries = new DeploymentSummaries(reading.wholeReader);
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<never> {
    const { clock, pause } = this.#reading.parts;
    this.#stamps = readStamps(await this.#sink.cursor(STAMPS));
    for (;;) {
      const beganAt = clock.now();
      await this.#sink.ready(signal);
      // What cannot be read now is looked for again in the next round: no stamp has moved.
      await patiently(() => this.#round(signal), this.#reading.parts, signal);
      await pause(msUntil(beganAt + this.#everyMs, clock.now(), this.#everyMs), signal);
    }
  }

  /** A round that fails has seen nothing. */
  async #round(signal: AbortSignal): Promise<void> {
    const before = this.#stamps;
    try {
      await this.#look(signal);
    } catch (error) {
      this.#stamps = before;
      this.#seen = new SeenRows();
      throw error;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const asking = { lane: "hint", signal } as const;
    const devices = await this.#reading.tablesOf("device", signal);
    if (devices !== undefined) await this.#lookAtDevices(devices, asking);
    for (const kind of Object.keys(LIST_STAMPS) as RecordKind[]) {
      const tables = await this.#reading.tablesOf(kind, signal);
      if (tables !== undefined) await this.#lookAtList(tables, asking);
    }
    if (!this.#isToKeep) return;
    await this.#sink.keepCursor(STAMPS, JSON.stringify(this.#stamps));
    this.#isToKeep = false;
  }

  async #lookAtDevices(devices: KindOfSite, asking: Asking): Promise<void> {
    const all = tablesOf(devices);
    const always = all.filter(({ table }) => table.reading === "always");
    const classes = all.filter(
      ({ table }) => table.reading === "seldom" && table.content.kind === "rows",
    );
    const discovered = await this.#lookAtActivity(devices, asking);
    const columns = always.filter(({ table }) => table.content.kind === "columns");
    await this.#readDevices(devices, columns, discovered, asking);
    if (classes.length > 0) {
      const scanned = await this.#lookAtScans(asking);
      await this.#readDevices(devices, classes, scanned, asking);
    }
    await this.#summaries.look({
      ...{ devices, asking },
      moved: (table, stamps) => this.#moved(table.table.id, table, stamps, asking),
      read: (tables, keys) => this.#readDevices(devices, tables, keys, asking),
    });
    await this.#readDevices(devices, all, await this.#newKeys(devices, asking), asking);
  }

  /** Applies what devices do by being there; returns those that were discovered anew. */
  async #lookAtActivity(devices: KindOfSite, asking: Asking): Promise<readonly number[]> {
    const table = devices.others.find((each) => each.table.id === ACTIVITY);
    const stamps = ACTIVITY_STAMPS.filter((name) => table?.select?.includes(name));
    if (table === undefined || stamps.length === 0) return [];
    const rows = await this.#moved(ACTIVITY, table, stamps, asking);
    const news = rows.filter((row) => this.#isNews(ACTIVITY, table, row));
    this.#onActive?.(keysOf(news, table.keyName));
    if (this.#reading.scope.collections.length === 0) {
      await this.#applyActivity(devices, table, news);
    } else await this.#readDevices(devices, [table], keysOf(news, table.keyName), asking);
    const discovered = news.filter((row) => {
      const stamp = row[DISCOVERY_STAMP];
      const key = `${DISCOVERY_STAMP} ${row[table.keyName]}`;
      return typeof stamp === "string" && this.#seen.isNews(key, stamp);
    });
    return keysOf(discovered, table.keyName);
  }

  async #applyActivity(devices: KindOfSite, table: LaidOutTable, rows: readonly Row[]) {
    const facets = facetsOfTables([table]);
    const records = new RecordAssembly({ spine: { ...table, rows }, facets }).records();
    for (let at = 0; at < records.length; at += DEVICES_AT_ONCE) {
      const some = records.slice(at, at + DEVICES_AT_ONCE);
      // They move all the time, and are told by changes alone: no page of a scan is to be looked into for them.
      const reading = { facets: [...facets], records: some, pages: [] };
      await this.#sink.applyChanges(devices.kind, reading);
    }
  }

  async #lookAtScans(asking: Asking): Promise<readonly number[]> {
    if (this.#hasScanStatus === false) return [];
    const { of, keyName, stamp } = SCAN_STATUS;
    const content = { kind: "columns", facets: { scan: [stamp] } } as const;
    const table = { id: of.name, of, keyNames: [keyName], content } as const;
    const laid = {
      table: { ...table, isRequired: false, reading: "seldom", rowsPerKey: 1 } as const,
      ...{ keyName, select: [keyName, stamp], layout: "" },
    };
    const moved = this.#moved(of.name, laid, [stamp], asking);
    const found = await unless(isNotForUs, moved);
    this.#hasScanStatus = found !== undefined;
    const news = (found ?? []).filter((row) => this.#isNews(of.name, laid, row));
    return keysOf(news, keyName);
  }

  async #lookAtList(tables: KindOfSite, asking: Asking): Promise<void> {
    const { kind, spine } = tables;
    const stamps = (LIST_STAMPS[kind] ?? []).filter((name) => spine.select?.includes(name));
    if (stamps.length === 0) return;
    const rows = await unless(isNotForUs, this.#moved(kind, spine, stamps, asking));
    const news = (rows ?? []).filter((row) => this.#isNews(kind, spine, row));
    if (news.length === 0) return;
    const records = recordsOf(tables, news);
    const pages = [spine.table.id];
    const [whole, rest] = await this.#reading.completed(kind, tables, records, asking);
    await this.#sink.applyChanges(kind, { ...whole, pages });
    if (rest !== undefined) await this.#sink.applyChanges(kind, { ...rest, pages });
  }

  /** Rows of which a stamp is newer than the last look, or was close to it. */
  async #moved(
    look: string,
    table: LaidOutTable,
    stamps: readonly string[],
    asking: Asking,
  ): Promise<readonly Row[]> {
    const { clock } = this.#reading.parts;
    const from = since(this.#stamps, look) ?? clock.now();
    const parts = stamps.map((name) => compare(name, "gt", { at: from }));
    const [first] = parts;
    if (first === undefined) return [];
    const where: Filter = parts.length === 1 ? first : { kind: "or", parts };
    const read = readWhole(this.#reading.wholeReader, table, asking, where);
    const found = await unless((error) => this.#isPassedOver(error), read);
    // The stamp stays where it was: what moves meanwhile is found once the class can be read.
    if (found === undefined) return [];
    // Where nothing moved, a later run finds nothing either that begins at the stamp of before.
    this.#isToKeep ||= found.rows.length > 0 || this.#stamps.at[look] === undefined;
    const at = { ...this.#stamps.at, [look]: found.servedAt ?? clock.now() };
    this.#stamps = { ...this.#stamps, at };
    return found.rows;
  }

  /** One class that cannot be read keeps the round from no other. */
  #isPassedOver(error: unknown): boolean {
    const isPassedOver = isUnusableAnswer(error) && !isNotForUs(error);
    if (isPassedOver) this.#reading.parts.onFault?.(codeOf(error), (error as Error).message);
    return isPassedOver || isClassIll(error);
  }

  #isNews(look: string, { keyName }: LaidOutTable, row: Row): boolean {
    // A hash, since a great many are remembered.
    return this.#seen.isNews(`${look} ${row[keyName]}`, facetHash(JSON.stringify(row)));
  }

  /** Keys above the highest that is known; none in the first round, which learns it. */
  async #newKeys({ kind, spine }: KindOfSite, asking: Asking): Promise<readonly number[]> {
    if (!this.#reading.wholeReader.isOrdered) return [];
    const { table, keyName } = spine;
    const known = this.#stamps.highest[kind];
    const query = { select: [keyName], top: known === undefined ? 1 : DEVICES_AT_ONCE };
    const page = await this.#reading.wholeReader.client.page(
      table.of,
      {
        ...query,
        ...(known !== undefined && { filter: compare(keyName, "gt", known) }),
        orderBy: { property: keyName, isDescending: known === undefined },
      },
      asking,
    );
    const keys = keysOf(readPlainRows(page.body.whole).rows, keyName).filter(
      (key) => key <= MAX_KEY,
    );
    const highest = Math.max(known ?? 0, ...keys);
    this.#isToKeep ||= highest !== known;
    this.#stamps = { ...this.#stamps, highest: { ...this.#stamps.highest, [kind]: highest } };
    return known === undefined ? [] : keys;
  }

  async #readDevices(
    kind: KindOfSite,
    tables: readonly LaidOutTable[],
    keys: readonly number[],
    asking: Asking,
  ): Promise<void> {
    const { scope, keyed } = this.#reading;
    for (let at = 0; at < keys.length; at += DEVICES_AT_ONCE) {
      const some = keys.slice(at, at + DEVICES_AT_ONCE);
      const reading = await keyed.read({ kind, tables, scope }, some, asking);
      await this.#sink.applyChanges(kind.kind, reading);
      await this.#sink.ready(asking.signal);
    }
  }
}

function keysOf(rows: readonly Row[], keyName: string): number[] {
  const keys = rows.map((row) => row[keyName]).filter((key) => typeof key === "number");
  return [...new Set(keys)].filter(Number.isSafeInteger);
}

function isNotForUs(error: unknown): boolean {
  return codeOf(error) === "site-not-found" || codeOf(error) === "site-forbidden";
}

/** Undefined where it ends with such an error. */
async function unless<Value>(
  isSuch: (error: unknown) => boolean,
  asked: Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isSuch(error)) return undefined;
    throw error;
  }
}
