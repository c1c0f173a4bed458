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
import type { LinkLog } from "@isthmus/shared/link/link-log";
import type { Random } from "@isthmus/shared/random";
import type { Store } from "@isthmus/shared/store/store";
import type { InventorySource } from "../core/ports.ts";
import type { BridgeOperations } from "../store/module.ts";
import { LeaseClient, type LeaseState } from "./lease-client.ts";
import { SourceObserver } from "./source-observer.ts";
import { SourceSink } from "./source-sink.ts";

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
  #run: Run | undefined;
  /** Leases are taken and given back one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #mending: Promise<void> = Promise.resolve();

  constructor(makeSource: (observer: SourceObserver) => InventorySource, parts: SourceRunnerParts) {
    this.#parts = parts;
    this.observer = new SourceObserver(
      () => parts.clock.now(),
      ({ code, message }) => {
        parts.log.warn({ source: this.source.name, code, reason: message }, "inventory.fault");
      },
    );
    this.source = makeSource(this.observer);
    const { name, type } = this.source;
    this.#lease = new LeaseClient({
      source: { source: name, sourceType: type },
      tell: parts.tell,
      onHeld: (lease) => this.#inTurn(() => this.#take(lease)),
      onLost: (why) => {
        parts.log.info({ source: name, why }, "inventory.lease-lost");
        this.#run?.ending.abort(new Error("the lease is over"));
        this.#inTurn(() => this.#end());
      },
    });
  }

  get lease(): LeaseState {
    return this.#lease.state;
  }

  onLease(message: Lease): void {
    this.#lease.take(message);
  }

  /** One after the other; what is not mended when the lease ends is found by the next digest. */
  onDiffers(message: InventoryDiffers): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#mending = this.#mending
      .then(() => this.#mend(message, run))
      .catch((error: unknown) => {
        if (run.ending.signal.aborted) return;
        this.#parts.log.warn({ source: this.source.name, err: error }, "inventory.mend-failed");
      });
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
    return reading.records.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error("the bridge stops"));
    this.#run?.ending.abort(this.#stopping.signal.reason);
    await this.#turn;
    await this.#end();
    this.#lease[Symbol.dispose]();
  }

  #inTurn(step: () => Promise<void>): void {
    this.#turn = this.#turn.then(step).catch((error: unknown) => {
      this.#parts.log.error({ source: this.source.name, err: error }, "inventory.lease-failed");
    });
  }

  async #take({ lease, revision }: Lease): Promise<void> {
    if (this.#run?.lease === lease || this.#stopping.signal.aborted) return;
    await this.#end();
    const { store, clock, log } = this.#parts;
    const { name: source, kinds } = this.source;
    const { isNew } = await store.run("takeLease", { source, lease, revision, at: clock.now() });
    // What was told under the lease before may not have been taken: a digest shows it.
    for (const kind of isNew ? kinds : []) {
      await store.run("tellDigest", { source, kind, lease, at: clock.now() });
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

  async #end(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    run?.ending.abort(new Error("the lease is over"));
    await run?.ended;
  }

  async #mend(message: InventoryDiffers, { lease, sink, ending }: Run): Promise<void> {
    const { store, clock, log } = this.#parts;
    const argument = { ...message, lease, at: clock.now() };
    const { toRead } = await store.run("takeDifferences", argument);
    this.#parts.wake("inventory");
    const { source, kind, buckets, unknown } = message;
    const figures = { buckets: buckets.length, wanted: toRead.length, unknown: unknown.length };
    log.info({ source, kind, ...figures }, "inventory.differs");
    for (let at = 0; at < toRead.length; at += MAX_WANTED_KEYS) {
      const keys = toRead.slice(at, at + MAX_WANTED_KEYS);
      const reading = await this.source.read(kind, keys, ending.signal);
      await sink.applyChanges(kind, reading);
    }
  }
}
