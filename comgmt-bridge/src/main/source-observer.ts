import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import { DriftRounds, driftWords } from "../core/drift-rounds.ts";

export interface KindProgress {
  readonly read: number;
  readonly expected: number | undefined;
  readonly at: number;
}

export interface SourceFault {
  readonly code: string;
  readonly message: string;
  readonly at: number;
}

/** What happens to one source, for metrics, health and the command line. */
export class SourceObserver {
  readonly totals = { requests: 0, rows: 0, changed: 0, applied: 0, passedOver: 0, faults: 0 };
  /** Of scans that are under way. */
  readonly progressByKind = new Map<RecordKind, KindProgress>();
  readonly scanEndedAt = new Map<RecordKind, number>();
  /** Tables that are left out, by name. */
  readonly tableFaults = new Map<string, SourceFault>();
  /** What the control plane finds to differ after each digest. */
  readonly drift: DriftRounds;
  lastFault: SourceFault | undefined;
  backlogEntries = 0;
  readonly #now: () => number;
  readonly #onFault: (fault: SourceFault) => void;
  readonly #onEvent: (event: string, message: string) => void;

  /** `onEvent` is told what the control plane is to hear of, too. */
  constructor(
    now: () => number,
    onFault: (fault: SourceFault) => void,
    onEvent: (event: string, message: string) => void = () => {},
  ) {
    this.#now = now;
    this.#onFault = onFault;
    this.#onEvent = onEvent;
    this.drift = new DriftRounds(now, (kind, drift) => {
      if (drift !== undefined) this.event("drift.unhealed", driftWords(drift));
      else this.event("drift.healed", `records of kind ${kind} differ no more`);
    });
  }

  requests(count: number): void {
    this.totals.requests += count;
  }

  rows(count: number): void {
    this.totals.rows += count;
  }

  fault(code: string, message: string): void {
    this.totals.faults += 1;
    const isNews = this.lastFault?.code !== code;
    this.lastFault = { code, message, at: this.#now() };
    if (isNews) this.#onFault(this.lastFault);
  }

  table(
    name: string,
    fault: { readonly code: string; readonly message: string } | undefined,
  ): void {
    const isKnown = this.tableFaults.has(name);
    if (fault === undefined) {
      this.tableFaults.delete(name);
      if (isKnown) this.event("table.read-again", `${name} is read again`);
      return;
    }
    const { code, message } = fault;
    const words = `${name} is left out: ${message}`;
    this.tableFaults.set(name, { code, message, at: this.#now() });
    if (isKnown) return;
    this.fault(code, words);
    this.event("table.left-out", words);
  }

  event(event: string, message: string): void {
    this.#onEvent(event, message);
  }

  changed(count: number): void {
    this.totals.changed += count;
  }

  range(what: "applied" | "passed-over"): void {
    if (what === "applied") this.totals.applied += 1;
    else this.totals.passedOver += 1;
  }

  progress(kind: RecordKind, read: number, expected: number | undefined): void {
    this.progressByKind.set(kind, { read, expected, at: this.#now() });
  }

  scanEnded(kind: RecordKind): void {
    this.progressByKind.delete(kind);
    this.scanEndedAt.set(kind, this.#now());
    this.drift.digestTold(kind);
    this.lastFault = undefined;
  }

  backlog(entries: number): void {
    this.backlogEntries = entries;
  }
}
