import { setTimeout as pauseFor } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { codeOf } from "@isthmus/shared/errors";
import { BackOff } from "@isthmus/shared/link/back-off";
import {
  type InventoryDiffers,
  type Lease,
  type LeaseWanted,
  MAX_WANTED_KEYS,
  type RecordKind,
} from "@isthmus/shared/link/inventory-messages";
import { isPlausibleRevision } from "@isthmus/shared/link/inventory-revision";
import type { LinkLog } from "@isthmus/shared/link/link-log";
import type { Random } from "@isthmus/shared/random";
import type { Store } from "@isthmus/shared/store/store";
import type { InventorySource } from "../core/ports.ts";
import { RepairPace } from "../core/repair-pace.ts";
import type { BridgeOperations } from "../store/module.ts";
import { LeaseClient, type LeaseState } from "./lease-client.ts";
import { SourceObserver } from "./source-observer.ts";
import { SourceSink } from "./source-sink.ts";
import { WaitingRepairs } from "./waiting-repairs.ts";

/** Own limits: how soon another lease is taken after one; entries that wait, above which a new lease brings no digest of its own. */
const TAKE_EVERY_MS = 2_000;
/** How long at most it waits before it looks again whether differences may be looked into. */
const MEND_LOOK_MS = 1_000;
const MAX_BACKLOG_ENTRIES = 200;
/** What the wire takes of an event's words, which repeat some of the site's. */
const MAX_EVENT_CHARACTERS = 1_024;

export interface SourceRunnerParts {
  readonly store: Store<BridgeOperations>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LinkLog;
  readonly deletions: { readonly maxShare: number; readonly minimum: number };
  readonly tell: (message: LeaseWanted) => boolean;
  readonly wake: (stream: string) => void;
}

interface Run {
  readonly lease: number;
  readonly sink: SourceSink;
  readonly ending: AbortController;
  readonly ended: Promise<void>;
}

/** Runs one source while this bridge holds its lease, and mends what the control plane found to differ. */
export class SourceRunner implements AsyncDisposable {
  readonly source: InventorySource;
  readonly observer: SourceObserver;
  readonly #parts: SourceRunnerParts;
  readonly #lease: LeaseClient;
  readonly #stopping = new AbortController();
  readonly #repairs = new WaitingRepairs();
  readonly #pace: RepairPace;
  #run: Run | undefined;
  /** The lease that is held, as far as anybody said; leases are taken and given back one after the other, those in between not at all. */
  #wanted: Lease | undefined;
  #turn: Promise<void> | undefined;
  #isFollowing = false;
  #takenAt: number | undefined;
  #isMending = false;

  constructor(makeSource: (observer: SourceObserver) => InventorySource, parts: SourceRunnerParts) {
    this.#parts = parts;
    this.#pace = new RepairPace(() => parts.clock.now());
    this.observer = new SourceObserver(
      () => parts.clock.now(),
      ({ code, message }) => {
        parts.log.warn({ source: this.source.name, code, reason: message }, "inventory.fault");
      },
      (event, message) => this.#tellEvent(event, message),
    );
    this.source = makeSource(this.observer);
    const { name, type } = this.source;
    this.#lease = new LeaseClient({
      source: { source: name, sourceType: type },
      tell: parts.tell,
      onHeld: (lease) => this.#want(lease),
      onLost: (why) => {
        parts.log.info({ source: name, why }, "inventory.lease-lost");
        this.#run?.ending.abort(new Error("the lease is over"));
        this.#want(undefined);
      },
    });
  }

  get lease(): LeaseState {
    return this.#lease.state;
  }

  onLease(message: Lease): void {
    this.#lease.take(message);
  }

  /** One after the other, as the stream has room; what is not mended when the lease ends is found by the next digest. */
  onDiffers(message: InventoryDiffers): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#repairs.add(message);
    if (!this.#isMending) void this.#mendAll(run);
  }

  /** Reads records now and tells what changed; returns how many the source has. Undefined without the lease. */
  async refresh(
    kind: RecordKind,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const run = this.#run;
    if (run === undefined) return undefined;
    const either = AbortSignal.any([signal, run.ending.signal]);
    const reading = await this.source.read(kind, keys, either);
    await run.sink.applyChanges(kind, reading);
    if (kind === "device") await this.source.readEvents?.(keys, run.sink.clientEvents, either);
    return reading.records.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error("the bridge stops"));
    this.#run?.ending.abort(this.#stopping.signal.reason);
    this.#wanted = undefined;
    await this.#turn;
    await this.#end();
    this.#lease[Symbol.dispose]();
  }

  #want(lease: Lease | undefined): void {
    this.#wanted = lease;
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    this.#turn = this.#follow().catch((error: unknown) => {
      this.#parts.log.error({ source: this.source.name, err: error }, "inventory.lease-failed");
    });
  }

  /** Until what runs is what is wanted, however often that changes meanwhile. */
  async #follow(): Promise<void> {
    try {
      while (!this.#runsAsWanted()) {
        await this.#end();
        await this.#mayTake();
        const wanted = this.#wanted;
        if (wanted !== undefined && !this.#stopping.signal.aborted) await this.#take(wanted);
      }
    } finally {
      this.#isFollowing = false;
    }
  }

  #runsAsWanted(): boolean {
    const run = this.#run;
    const wanted = this.#stopping.signal.aborted ? undefined : this.#wanted;
    if (run === undefined) return wanted === undefined;
    return !run.ending.signal.aborted && run.lease === wanted?.lease;
  }

  /** Each new lease costs a start of the source: a control plane that gives one after the other does not set the pace. */
  async #mayTake(): Promise<void> {
    const since = this.#parts.clock.now() - (this.#takenAt ?? Number.NEGATIVE_INFINITY);
    if (this.#wanted === undefined || since < 0 || since >= TAKE_EVERY_MS) return;
    const { signal } = this.#stopping;
    await pauseFor(TAKE_EVERY_MS - since, undefined, { signal }).catch(() => {});
  }

  async #take({ lease, revision }: Lease): Promise<void> {
    const { store, clock, log } = this.#parts;
    const { name: source, kinds } = this.source;
    if (!isPlausibleRevision(revision, clock.now())) {
      this.#wanted = undefined;
      const words = `the control plane has revision ${revision} of ${source}, which nothing can have come to by now`;
      this.observer.fault("revision-implausible", words);
      return;
    }
    this.#takenAt = clock.now();
    const { isNew } = await store.run("takeLease", { source, lease, revision, at: clock.now() });
    const { entries } = await store.run("backlog", {});
    // What was told under the lease before may not have been taken: a digest shows it, at the latest that of the next scan.
    for (const kind of isNew && entries < MAX_BACKLOG_ENTRIES ? kinds : []) {
      await store.run("tellDigest", { source, kind, lease, at: clock.now() });
      this.observer.drift.digestTold(kind);
    }
    log.info({ source, lease, isNew }, "inventory.lease-held");
    this.#start(lease);
  }

  #start(lease: number): void {
    const { store, clock, deletions, wake } = this.#parts;
    const ending = new AbortController();
    const of = { source: this.source.name, lease, store, clock, deletions, wake };
    const sink = new SourceSink({ ...of, observer: this.observer });
    this.#run = { lease, sink, ending, ended: this.#runUntil(sink, ending.signal) };
  }

  /** A source that ends, for whatever reason, is run again after a while. */
  async #runUntil(sink: SourceSink, signal: AbortSignal): Promise<void> {
    const { random, log } = this.#parts;
    const backOff = new BackOff(random);
    while (!signal.aborted) {
      try {
        await this.source.run(sink, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.observer.fault(codeOf(error), error instanceof Error ? error.message : String(error));
        log.error({ source: this.source.name, err: error }, "inventory.run-failed");
      }
      await pauseFor(Math.max(1_000, backOff.next(0)), undefined, { signal }).catch(() => {});
    }
  }

  /** It is in the log in any case; told where this bridge still speaks for the source. */
  #tellEvent(event: string, message: string): void {
    const { log } = this.#parts;
    const source = this.source.name;
    log.warn({ source, event, reason: message }, "inventory.event");
    const words = message.slice(0, MAX_EVENT_CHARACTERS).toWellFormed();
    this.#run?.sink.clientEvents.note(event, words).catch((error: unknown) => {
      log.info({ source, event, err: error }, "inventory.event-untold");
    });
  }

  async #end(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    run?.ending.abort(new Error("the lease is over"));
    await run?.ended;
  }

  async #mendAll(run: Run): Promise<void> {
    const { log } = this.#parts;
    const { signal } = run.ending;
    this.#isMending = true;
    try {
      while (!signal.aborted) {
        const message = this.#repairs.take();
        if (message === undefined) return;
        await this.#mayMend(message, signal);
        await this.#mend(this.observer.drift.without(message), run).catch((error: unknown) => {
          if (signal.aborted) return;
          log.warn({ source: this.source.name, err: error }, "inventory.mend-failed");
        });
      }
    } finally {
      this.#repairs.clear();
      this.#isMending = false;
    }
  }

  /** A control plane that finds differences without end does not set the pace. */
  async #mayMend({ buckets }: InventoryDiffers, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { waitMs } = this.#pace.take(buckets.length > 0);
      if (waitMs === 0 || signal.aborted) return;
      await pauseFor(Math.min(waitMs, MEND_LOOK_MS), undefined, { signal }).catch(() => {});
    }
  }

  async #mend(message: InventoryDiffers, { lease, sink, ending }: Run): Promise<void> {
    const { store, clock, log } = this.#parts;
    const { source, kind, buckets, wanted, unknown } = message;
    if (buckets.length + wanted.length + unknown.length === 0) return;
    await sink.ready(ending.signal);
    const argument = { ...message, lease, at: clock.now() };
    const { toRead } = await store.run("takeDifferences", argument);
    this.#parts.wake("inventory");
    const figures = { buckets: buckets.length, wanted: toRead.length, unknown: unknown.length };
    log.info({ source, kind, ...figures }, "inventory.differs");
    for (let at = 0; at < toRead.length; at += MAX_WANTED_KEYS) {
      const keys = toRead.slice(at, at + MAX_WANTED_KEYS);
      const reading = await this.source.read(kind, keys, ending.signal);
      await sink.applyChanges(kind, reading);
    }
  }
}
