import { hash } from "node:crypto";
import type { InventoryEntry } from "@isthmus/shared/link/inventory-messages";
import type { KeyBounds } from "../core/inventory-state.ts";
import { CloudModel } from "./cloud-model.ts";
import { InventoryStore } from "./inventory-store.ts";

const SOURCE = "CM1";
const KIND = "device" as const;
const BASE = ["identity", "stable", "volatile"];
export const CLASSES = ["SMS_G_System_DISK", "SMS_G_System_BIOS"];
export const FACETS = [...BASE, ...CLASSES];
/** Which facets come from which table; the first one lists the records. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  SYSTEM: ["identity", "stable"],
  ACTIVITY: ["volatile"],
  DISK: ["SMS_G_System_DISK"],
  BIOS: ["SMS_G_System_BIOS"],
};
const ABOUT = { source: SOURCE, kind: KIND };

/** What a page leaves out although the source has it. */
export interface Shortness {
  readonly keys: readonly number[];
  readonly classKeys: readonly number[];
}

/** A scan as its loop would keep it: where it is, and what it has seen. */
interface RunningScan {
  readonly beganAt: number;
  readonly ranges: readonly KeyBounds[];
  readonly seen: Set<string>;
  next: number;
}

interface EndedScan {
  readonly beganAt: number;
  readonly endedAt: number;
  readonly seen: Set<string>;
}

/** A source that changes, the bridge's store between, and a control plane at the end: and the rules that hold at every moment. */
export class InventoryWorld {
  readonly source = new Map<number, Record<string, unknown>>();
  readonly cloud = new CloudModel(SOURCE, KIND);
  store = new InventoryStore();
  now = 1_000_000;
  readonly #pending: InventoryEntry[] = [];
  #scan: RunningScan | undefined;
  #ended: EndedScan[] = [];
  /** Times that the control plane found a difference. */
  repairs = 0;
  readonly #buried = new Set<string>();
  /** Whether the control plane may differ from what it was told. */
  isDamaged = false;

  constructor() {
    this.takeLease();
  }

  takeLease(): void {
    this.cloud.lease += 1;
    const { lease, revision } = this.cloud;
    this.store.run("takeLease", { source: SOURCE, lease, revision, at: this.now });
  }

  /** Every range of the kind, `width` keys each, the last one open. */
  beginScan(width: number): void {
    const ranges: KeyBounds[] = [];
    for (let after = 0; after < 40; after += width) ranges.push({ after, through: after + width });
    const last = ranges.pop() as KeyBounds;
    this.now += 10;
    const seen = new Set<string>();
    const open = { after: last.after, through: Number.MAX_SAFE_INTEGER };
    this.#scan = {
      beganAt: this.now,
      ranges: [{ after: -1, through: 0 }, ...ranges, open],
      seen,
      next: 0,
    };
  }

  get isScanning(): boolean {
    return this.#scan !== undefined;
  }

  /**
   * Reads the next range as the loop of a site does: each table comes in a page, pages that are as before are not looked into, and those facets
   * are asked for whose pages are not. `meanwhile` happens between the reading and its application. False where no range is left.
   */
  readRange(short: Shortness, meanwhile: () => void = () => {}): boolean {
    const scan = this.#scan;
    const range = scan?.ranges[scan.next];
    if (scan === undefined || range === undefined) return false;
    this.now += 1;
    const before = this.store.run("pagesOf", { ...ABOUT, range });
    const { pages, records } = this.#read(range, short);
    const fresh = Object.keys(TABLES).filter((table) => pages[table] !== before[table]);
    const facets = fresh.flatMap((table) => TABLES[table] ?? []);
    meanwhile();
    const whose = { ...ABOUT, lease: this.cloud.lease, at: this.now, range };
    if (fresh.length === 0) {
      this.store.run("passOverRange", whose);
    } else {
      const asked = records.map(({ key, values }) => ({ key, facets: textsOf(values, facets) }));
      this.store.run("applyRange", { ...whose, facets, records: asked, pages, before });
    }
    for (const { key } of records) scan.seen.add(key);
    scan.next += 1;
    return true;
  }

  #read({ after, through }: KeyBounds, short: Shortness) {
    const records = [...this.source]
      .filter(([key]) => key > after && key <= through && !short.keys.includes(key))
      .sort(([one], [other]) => one - other)
      .map(([key, values]) => ({
        key: String(key),
        values: short.classKeys.includes(key) ? baseOf(values) : values,
      }));
    const pages: Record<string, string> = {};
    for (const [table, facets] of Object.entries(TABLES)) {
      const rows = records.map(({ key, values }) => ({ key, ...textsOf(values, facets) }));
      // Of other tables than the first a page has rows only of what is in it.
      const listed = rows.filter((row) => table === "SYSTEM" || Object.keys(row).length > 1);
      pages[table] = hash("sha256", JSON.stringify(listed));
    }
    return { records, pages };
  }

  /** Ends the scan that has read every range; once more where `twice`, as after a kill before its end was noted. */
  endScan(of: { readonly share: number; readonly minimum: number; readonly twice: boolean }): void {
    const scan = this.#scan;
    if (scan === undefined || scan.next < scan.ranges.length) throw new Error("not all was read");
    this.now += 1;
    const { beganAt, seen } = scan;
    const argument = {
      ...ABOUT,
      lease: this.cloud.lease,
      at: this.now,
      beganAt,
      maxDeletedShare: of.share,
      minDeleted: of.minimum,
    };
    const before = this.store.run("sourceFigures", {})[0];
    const last = this.#ended.at(-1);
    // Scans are told apart by when they began: where the clock was set back to just that moment, the second one proves nothing of its own.
    if (last?.beganAt === beganAt) for (const key of seen) last.seen.add(key);
    else this.#ended.push({ beganAt, endedAt: this.now, seen });
    const { deleted } = this.store.run("endScan", argument);
    const approved = before?.approved ?? 0;
    const all = (before?.records ?? 0) + (before?.unknown ?? 0);
    if (deleted > approved + Math.max(of.minimum, of.share * all))
      throw new Error("too many deleted");
    if (of.twice) {
      const again = this.store.run("endScan", { ...argument, at: this.now + 1 });
      if (again.deleted > 0) throw new Error("one scan was counted twice");
    }
    this.#scan = undefined;
    this.collect();
  }

  abandonScan(): void {
    this.#scan = undefined;
  }

  /** Reads some records one by one. */
  readKeys(
    keys: readonly number[],
    facets: readonly string[],
    tombstones: readonly number[] = [],
  ): void {
    const records = keys.flatMap((key) => {
      const values = this.source.get(key);
      return values === undefined ? [] : [{ key: String(key), facets: textsOf(values, facets) }];
    });
    const gone = tombstones.filter((key) => !this.source.has(key)).map(String);
    for (const key of gone) this.#buried.add(key);
    this.store.run("applyChanges", {
      ...ABOUT,
      lease: this.cloud.lease,
      at: this.now,
      facets,
      areAllFacets: facets.length === FACETS.length,
      records,
      tombstones: gone,
    });
    this.collect();
    for (const key of gone) this.#buried.delete(key);
  }

  approve(): void {
    this.store.run("approveDeletions", { ...ABOUT, by: "somebody", at: this.now });
  }

  tellDigest(): boolean {
    return this.store.run("tellDigest", { ...ABOUT, lease: this.cloud.lease, at: this.now });
  }

  /** Takes new entries out of the stream and holds them to the rule of deletion. */
  collect(): void {
    for (const entry of this.store.told()) {
      if (entry.type === "deleted") this.#judge(entry);
      this.#pending.push(entry);
    }
  }

  #judge({ keys, evidence }: Extract<InventoryEntry, { type: "deleted" }>): void {
    if (evidence.how === "tombstone") {
      if (!keys.every((key) => this.#buried.has(key))) throw new Error("no tombstone");
      return;
    }
    const scans = this.#ended.slice(-2);
    if (scans.length < 2) throw new Error("deleted before two complete scans");
    const times = scans.map(({ beganAt, endedAt }) => ({ beganAt, endedAt }));
    if (JSON.stringify(times) !== JSON.stringify(evidence.scans)) throw new Error("other scans");
    const found = keys.filter((key) => scans.some(({ seen }) => seen.has(key)));
    if (found.length > 0) throw new Error(`deleted although found: ${found.join()}`);
  }

  /** The control plane takes what is in the stream; without `isTaken` it is lost on the way, as under a stale lease. */
  deliver(isTaken = true): void {
    this.collect();
    for (const entry of this.#pending.splice(0)) {
      if (isTaken) this.cloud.apply(entry);
      else if (entry.type !== "event") this.isDamaged = true;
    }
  }

  /** The dialogue of a repair, until the control plane has nothing more to say. */
  repair(): void {
    this.deliver();
    for (let turns = 0; turns < 4; turns++) {
      const differs = this.cloud.takeDiffers();
      if (differs === undefined) return;
      this.repairs += 1;
      const { lease } = this.cloud;
      const { toRead } = this.store.run("takeDifferences", { ...differs, lease, at: this.now });
      this.readKeys(toRead.map(Number), FACETS);
      this.deliver();
    }
  }

  /** The bridge's state is gone, or goes back; what its scans proved goes with it. */
  replaceStore(restore?: () => void): void {
    this.#scan = undefined;
    this.#ended = [];
    this.collect();
    this.isDamaged = true;
    if (restore === undefined) this.store = new InventoryStore();
    else restore();
    this.#pending.length = 0;
    this.takeLease();
  }

  values(): Record<string, Record<string, unknown>> {
    return Object.fromEntries([...this.source].map(([key, values]) => [String(key), values]));
  }
}

function baseOf(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => BASE.includes(name)));
}

function textsOf(
  values: Record<string, unknown>,
  facets: readonly string[] = FACETS,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([name]) => facets.includes(name))
      .map(([name, value]) => [name, JSON.stringify(value)]),
  );
}
