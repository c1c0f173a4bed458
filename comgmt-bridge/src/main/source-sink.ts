import { setTimeout as pauseFor } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { INVENTORY_STREAM, type RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { Store } from "@isthmus/shared/store/store";
import type { ClientEventSink } from "../core/client-events.ts";
import type { Applied, KeyBounds, Leaving, ScanEnd } from "../core/inventory-state.ts";
import type { InventorySink, KeyedReading, RangeReading } from "../core/ports.ts";
import type { BridgeOperations } from "../store/module.ts";
import type { SourceObserver } from "./source-observer.ts";

/** Own limits: entries that the control plane has not acknowledged, above which nothing more is read; how often that is looked at. */
const MAX_BACKLOG_ENTRIES = 200;
const LOOK_MS = 250;

export interface SourceSinkOptions {
  readonly source: string;
  readonly lease: number;
  readonly store: Store<BridgeOperations>;
  readonly clock: Clock;
  readonly deletions: { readonly maxShare: number; readonly minimum: number };
  readonly wake: (stream: string) => void;
  readonly observer: SourceObserver;
}

/** Puts what a source reads into the store, under one lease. */
export class SourceSink implements InventorySink {
  readonly #options: SourceSinkOptions;

  constructor(options: SourceSinkOptions) {
    this.#options = options;
  }

  get clientEvents(): ClientEventSink {
    const { store, source, lease, clock } = this.#options;
    return {
      due: (keys, before) => store.run("devicesDue", { source, keys, before }),
      sweep: (after, before) => store.run("sweepDevices", { source, after, before }),
      apply: async (read) => {
        const { told } = await store.run("applyEvents", {
          source,
          lease,
          at: clock.now(),
          ...read,
        });
        if (told > 0) this.#wake();
      },
      note: async (event, message) => {
        await store.run("note", { source, lease, at: clock.now(), event, message });
        this.#wake();
      },
    };
  }

  async ready(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const { entries } = await this.#options.store.run("backlog", {});
      this.#options.observer.backlog(entries);
      if (entries < MAX_BACKLOG_ENTRIES) return;
      await pauseFor(LOOK_MS, undefined, { signal });
    }
  }

  pagesOf(
    kind: RecordKind,
    range: KeyBounds | undefined,
  ): Promise<Readonly<Record<string, string>>> {
    const { store, source } = this.#options;
    return store.run("pagesOf", { source, kind, range });
  }

  async applyRange(kind: RecordKind, reading: RangeReading): Promise<Applied> {
    const applied = await this.#options.store.run("applyRange", {
      ...this.#whose(kind),
      ...reading,
    });
    this.#applied(applied);
    this.#options.observer.range("applied");
    return applied;
  }

  async passOverRange(kind: RecordKind, range: KeyBounds | undefined): Promise<void> {
    await this.#options.store.run("passOverRange", { ...this.#whose(kind), range });
    this.#options.observer.range("passed-over");
  }

  async applyChanges(
    kind: RecordKind,
    reading: KeyedReading,
    tombstones: readonly string[] = [],
  ): Promise<Applied> {
    const argument = { ...this.#whose(kind), ...reading, tombstones };
    const applied = await this.#options.store.run("applyChanges", argument);
    this.#applied(applied);
    return applied;
  }

  leaving(kind: RecordKind, beganAt: number): Promise<Leaving> {
    return this.#options.store.run("leaving", this.#ended(kind, beganAt));
  }

  async endScan(kind: RecordKind, beganAt: number): Promise<ScanEnd> {
    const { store, observer } = this.#options;
    const end = await store.run("endScan", this.#ended(kind, beganAt));
    await store.run("tellDigest", this.#whose(kind));
    this.#wake();
    observer.scanEnded(kind);
    return end;
  }

  cursor(name: string): Promise<string | undefined> {
    const { store, source } = this.#options;
    return store.run("cursorOf", { source, name });
  }

  async keepCursor(name: string, value: string): Promise<void> {
    const { store, source } = this.#options;
    await store.run("keepCursor", { source, name, value });
  }

  progress(kind: RecordKind, read: number, expected: number | undefined): void {
    this.#options.observer.progress(kind, read, expected);
  }

  #ended(kind: RecordKind, beganAt: number) {
    const { maxShare, minimum } = this.#options.deletions;
    return { ...this.#whose(kind), beganAt, maxDeletedShare: maxShare, minDeleted: minimum };
  }

  #whose(kind: RecordKind) {
    const { source, lease, clock } = this.#options;
    return { source, kind, lease, at: clock.now() };
  }

  #applied({ changed }: Applied): void {
    if (changed === 0) return;
    this.#options.observer.changed(changed);
    this.#wake();
  }

  #wake(): void {
    this.#options.wake(INVENTORY_STREAM);
  }
}
