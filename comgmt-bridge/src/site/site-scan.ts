import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { KeyBounds } from "../core/inventory-state.ts";
import {
  dueAt,
  gapBetween,
  type Pace,
  RANGE_KEYS,
  rangeBehind,
  rangeOf,
  resumedPace,
} from "../core/key-ranges.ts";
import type { InventorySink } from "../core/ports.ts";
import {
  newScan,
  readHistory,
  type ScanHistory,
  type ScanProgress,
  scanToResume,
  withKind,
  withoutKind,
} from "../core/scan-progress.ts";
import { msUntil } from "../core/wait-until.ts";
import { lastLook } from "./last-look.ts";
import { nextKeyBehind } from "./next-key.ts";
import { pageKeyOf } from "./page-hash.ts";
import { type Outcome, patiently } from "./patience.ts";
import { type RangeOutcome, readRange } from "./range-reading.ts";
import type { SiteReading } from "./site-reading.ts";
import { isClassIll } from "./silent-classes.ts";
import type { KindOfSite } from "./site-tables.ts";
import { readWhole, recordsOf } from "./whole-reading.ts";

const PROGRESS = "scan";
const HISTORY = "scans";
/** Ranges that are read at once, so that the site is asked while the last one is put into the store. */
const RANGES_AT_ONCE = 2;
/** Own limit: how soon a scan of which parts could not be read is followed by another. */
const INCOMPLETE_WAIT_MS = 60_000;
/** Own limit: ranges one behind the other for which a class did not answer; it may hang for the rows of one alone. */
const ILL_RANGES = 3;
/** Shares of a scan's time; other kinds are short lists. */
const SHARES: Partial<Record<RecordKind, number>> = {
  device: 0.8,
  user: 0.15,
  "software-update": 0.03,
};

export interface ScanPeriods {
  /** In which everything is read once; the first time as fast as the site lets us. */
  readonly truthMs: number;
  /** In which tables are read that hints tell of otherwise. */
  readonly wholeMs: number;
}

interface RunningRange {
  readonly range: KeyBounds;
  readonly outcome: Promise<Outcome<RangeOutcome>>;
}

/** Reads everything again and again: what hints do not tell comes from here, and what is gone is seen only here. */
export class SiteScan {
  readonly #reading: SiteReading;
  readonly #sink: InventorySink;
  readonly #periods: ScanPeriods;
  #pageKey: Buffer = Buffer.alloc(0);
  #history: ScanHistory = readHistory(undefined);
  #progress: ScanProgress = newScan(0, true);
  /** The last ranges, one behind the other, for which a class that all need did not answer. */
  #illRanges = 0;

  constructor(reading: SiteReading, sink: InventorySink, periods: ScanPeriods) {
    this.#reading = reading;
    this.#sink = sink;
    this.#periods = periods;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<never> {
    const { clock, pause } = this.#reading.parts;
    this.#pageKey = await pageKeyOf(this.#sink, this.#reading.parts.random);
    this.#history = readHistory(await this.#sink.cursor(HISTORY));
    const before = await this.#sink.cursor(PROGRESS);
    let resumed = scanToResume(before, clock.now());
    for (;;) {
      signal.throwIfAborted();
      const isFirst = this.#history.endedAt === 0;
      this.#progress = resumed ?? newScan(clock.now(), this.#isWholeDue());
      resumed = undefined;
      const isComplete = await this.#scanAll(signal);
      // The second begins at once: what is gone, and what drifted, is known after two.
      const { truthMs } = this.#periods;
      const due = isFirst ? 0 : this.#progress.beganAt + truthMs;
      const waitMs = isComplete ? msUntil(due, clock.now(), truthMs) : INCOMPLETE_WAIT_MS;
      await pause(waitMs, signal);
    }
  }

  #isWholeDue(): boolean {
    const since = this.#reading.parts.clock.now() - this.#history.wholeEndedAt;
    return since < 0 || since >= this.#periods.wholeMs;
  }

  async #scanAll(signal: AbortSignal): Promise<boolean> {
    let isComplete = true;
    for (const kind of this.#reading.kinds) {
      if (this.#progress.done.includes(kind)) continue;
      await this.#keep(withKind(this.#progress, kind, this.#reading.parts.clock.now()));
      const looked = await this.#reading.probe(kind, signal);
      if (!looked.isDone) this.#progress = { ...this.#progress, hasFailed: true };
      // A kind that the account may not read, or this release lacks, is none of this site's.
      const tables = looked.isDone ? looked.value : undefined;
      if (tables !== undefined) await this.#scanKind(tables, signal);
      if (this.#progress.hasFailed) isComplete = false;
      else if (tables !== undefined) await this.#endKind(kind);
      await this.#keep(withoutKind(this.#progress));
    }
    const endedAt = this.#reading.parts.clock.now();
    const { isWhole } = this.#progress;
    const { wholeEndedAt } = this.#history;
    this.#history = {
      ...this.#history,
      ...(isComplete && { endedAt, wholeEndedAt: isWhole ? endedAt : wholeEndedAt }),
    };
    await this.#sink.keepCursor(HISTORY, JSON.stringify(this.#history));
    await this.#sink.keepCursor(PROGRESS, "");
    return isComplete;
  }

  async #endKind(kind: RecordKind): Promise<void> {
    const { kindBeganAt, beganAt, parts, records } = this.#progress;
    await this.#sink.endScan(kind, kindBeganAt ?? beganAt);
    this.#history = {
      ...this.#history,
      parts: { ...this.#history.parts, [kind]: parts },
      ...(records > 0 && { records: { ...this.#history.records, [kind]: records } }),
    };
  }

  async #scanKind(tables: KindOfSite, signal: AbortSignal): Promise<void> {
    await this.#sink.ready(signal);
    if (!tables.isInRanges) {
      await this.#tried(() => this.#scanWhole(tables, signal), signal);
      return;
    }
    await this.#scanRanges(tables, signal);
    if (!this.#progress.hasFailed) await this.#lookOnceMore(tables, signal);
  }

  /** What is there after all is missing no more. */
  async #lookOnceMore(tables: KindOfSite, signal: AbortSignal): Promise<void> {
    const { kindBeganAt, beganAt } = this.#progress;
    const leaving = await this.#sink.leaving(tables.kind, kindBeganAt ?? beganAt);
    if (leaving.keys.length === 0) return;
    const asking = { lane: "snapshot", signal } as const;
    const look = () => lastLook(this.#reading, tables, leaving, asking);
    const looked = await this.#tried(look, signal);
    if (looked.isDone) await this.#sink.applyChanges(tables.kind, looked.value);
  }

  async #scanWhole(tables: KindOfSite, signal: AbortSignal): Promise<void> {
    const { kind, spine } = tables;
    const asking = { lane: "snapshot", signal } as const;
    const { rows, hash } = await readWhole(this.#reading.wholeReader, spine, asking);
    this.#sink.progress(kind, rows.length, rows.length);
    const pages = { [spine.table.id]: hash };
    const before = await this.#sink.pagesOf(kind, undefined);
    if (before[spine.table.id] === hash) {
      await this.#sink.passOverRange(kind, undefined);
      return;
    }
    const [whole, rest] = await this.#reading.completed(
      kind,
      tables,
      recordsOf(tables, rows),
      asking,
    );
    // What could not be completed is looked into again in the next scan.
    const isComplete = rest === undefined;
    const range = { ...whole, range: undefined, pages: isComplete ? pages : {} };
    await this.#sink.applyRange(kind, range);
    if (!isComplete) await this.#sink.applyChanges(kind, { ...rest, pages: [] });
    this.#reading.learn(kind, rows);
  }

  async #scanRanges(tables: KindOfSite, signal: AbortSignal): Promise<void> {
    const pace = this.#paceOf(tables.kind);
    this.#illRanges = 0;
    const { through } = this.#progress;
    const last = through === undefined ? undefined : { after: through - 1, through };
    let next = await this.#firstFrom(tables, last, signal);
    while (next !== undefined) {
      const end = await this.#scanNeighbours(tables, next, pace, signal);
      next = end && (await this.#firstFrom(tables, end, signal));
    }
  }

  /** Ranges one behind the other until one is empty, or cannot be read; returns the last, or undefined where none behind it can be. */
  async #scanNeighbours(
    tables: KindOfSite,
    first: KeyBounds,
    pace: Pace,
    signal: AbortSignal,
  ): Promise<KeyBounds | undefined> {
    const running: RunningRange[] = [];
    let last = first;
    for (let next: KeyBounds | undefined = first; ; ) {
      while (next !== undefined && running.length < RANGES_AT_ONCE) {
        await this.#untilDue(dueAt(pace, this.#progress.parts + running.length), signal);
        running.push(this.#start(tables, next, signal));
        next = rangeBehind(next);
      }
      const oldest = running.shift();
      if (oldest === undefined) return this.#illRanges < ILL_RANGES ? last : undefined;
      const outcome = await oldest.outcome;
      last = oldest.range;
      await this.#note(tables.kind, last, outcome);
      this.#illRanges = isOfIllClass(outcome) ? this.#illRanges + 1 : 0;
      // Whether there are keys behind one that could not be read is for the list of keys to say.
      if (!outcome.isDone || outcome.value.isEmpty) next = undefined;
    }
  }

  #start(tables: KindOfSite, range: KeyBounds, signal: AbortSignal): RunningRange {
    const asking = { lane: "snapshot", signal } as const;
    const { isWhole } = this.#progress;
    const how = { range, isWhole, sink: this.#sink };
    const read = () => readRange(this.#reading.rangeReader(tables, this.#pageKey), how, asking);
    const outcome = patiently(read, this.#reading.parts, signal);
    // It is awaited in its turn; a failure before that is not one that nobody handles.
    outcome.catch(() => {});
    return { range, outcome };
  }

  /** The range of the next key behind one; the keys between are nobody's. */
  async #firstFrom(
    tables: KindOfSite,
    before: KeyBounds | undefined,
    signal: AbortSignal,
  ): Promise<KeyBounds | undefined> {
    const asking = { lane: "snapshot", signal } as const;
    const { client, isOrdered } = this.#reading.wholeReader;
    const how = { after: before?.through ?? -1, isOrdered, precision: RANGE_KEYS };
    const found = await this.#tried(async () => {
      const key = await nextKeyBehind(client, tables.spine, how, asking);
      return key === undefined ? undefined : rangeOf(key);
    }, signal);
    if (!found.isDone) return undefined;
    const gap = gapBetween(before, found.value);
    if (gap !== undefined) {
      const empty = { range: gap, facets: [], records: [], pages: {} };
      await this.#sink.applyRange(tables.kind, empty);
    }
    return found.value;
  }

  /** A step without which the scan of its kind is not complete. */
  async #tried<Value>(step: () => Promise<Value>, signal: AbortSignal): Promise<Outcome<Value>> {
    const outcome = await patiently(step, this.#reading.parts, signal);
    if (!outcome.isDone) this.#progress = { ...this.#progress, hasFailed: true };
    return outcome;
  }

  async #note(kind: RecordKind, range: KeyBounds, outcome: Outcome<RangeOutcome>): Promise<void> {
    const { parts, records, hasFailed } = this.#progress;
    const found = outcome.isDone ? outcome.value.records : undefined;
    await this.#keep({
      ...this.#progress,
      parts: parts + 1,
      // A range that was passed over has about as many records as it has keys; people see it, and nobody counts on it.
      records: records + (found ?? (outcome.isDone && outcome.value.isEmpty ? 0 : RANGE_KEYS)),
      hasFailed: hasFailed || !outcome.isDone,
      through: range.through,
    });
    const expected = this.#history.records[kind] ?? this.#reading.expected(kind);
    this.#sink.progress(kind, this.#progress.records, expected);
  }

  #paceOf(kind: RecordKind): Pace {
    const { truthMs } = this.#periods;
    // Of a kind that was never read whole nobody knows how many parts there are, and everybody waits for it: it goes at once.
    const parts = this.#history.parts[kind] ?? 0;
    const spanMs = truthMs * (SHARES[kind] ?? 0);
    return resumedPace({ spanMs, parts }, this.#progress.parts, this.#reading.parts.clock.now());
  }

  async #untilDue(at: number, signal: AbortSignal): Promise<void> {
    const left = at - this.#reading.parts.clock.now();
    // Further away than it can be: the clock was put back.
    const isToWait = left > 0 && left <= this.#periods.truthMs;
    if (isToWait) await this.#reading.parts.pause(left, signal);
    await this.#sink.ready(signal);
  }

  async #keep(progress: ScanProgress): Promise<void> {
    this.#progress = progress;
    await this.#sink.keepCursor(PROGRESS, JSON.stringify(progress));
  }
}

function isOfIllClass(outcome: Outcome<unknown>): boolean {
  return !outcome.isDone && isClassIll(outcome.fault);
}
