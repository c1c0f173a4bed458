import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { InventoryMessage } from "@isthmus/shared/link/link-hooks";
import { driftWords } from "../core/drift-rounds.ts";
import type { SourceFigures } from "../core/inventory-state.ts";
import { SourceRunner, type SourceRunnerParts } from "./source-runner.ts";
import type { WantedSource } from "./wanted-source.ts";

interface Running {
  readonly make: string;
  readonly runner: SourceRunner;
}

/** The sources that are read. */
export class Inventory implements AsyncDisposable {
  readonly #parts: SourceRunnerParts;
  readonly #isStandalone: boolean;
  #running = new Map<string, Running>();

  constructor(parts: SourceRunnerParts, isStandalone: boolean) {
    this.#parts = parts;
    this.#isStandalone = isStandalone;
  }

  get runners(): readonly SourceRunner[] {
    return [...this.#running.values()].map(({ runner }) => runner);
  }

  /** Ends sources that are wanted no more, or otherwise; those that are wanted as they are go on undisturbed. */
  async apply(wanted: readonly WantedSource[]): Promise<void> {
    // Without a control plane there is nobody who would take it.
    const all = this.#isStandalone ? [] : wanted;
    const kept = new Map<string, Running>();
    for (const [name, running] of this.#running) {
      const isKept = all.some((each) => each.name === name && each.make === running.make);
      if (isKept) kept.set(name, running);
      else await running.runner[Symbol.asyncDispose]();
    }
    for (const { name, make, start } of all) {
      if (!kept.has(name)) kept.set(name, { make, runner: new SourceRunner(start, this.#parts) });
    }
    this.#running = kept;
  }

  onMessage(message: InventoryMessage): void {
    const runner = this.#running.get(message.source)?.runner;
    if (message.type === "lease") runner?.onLease(message);
    else runner?.onDiffers(message);
  }

  /** Undefined where the source is not read by this bridge now. */
  async refresh(
    source: string,
    kind: RecordKind,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<number | undefined> {
    return await this.#running.get(source)?.runner.refresh(kind, keys, signal);
  }

  async check(): Promise<CheckResult> {
    if (this.#isStandalone) return standalone;
    const runners = this.runners;
    if (runners.length === 0) return nothingWanted;
    const figures = await this.#parts.store.run("sourceFigures", {});
    const checks = runners.map((runner) => checkOf(runner, figures, this.#parts.clock.now()));
    const isHealthy = checks.every(({ status }) => status === "healthy");
    const remedies = checks.map(({ remedy }) => remedy).filter((remedy) => remedy !== undefined);
    return {
      status: isHealthy ? "healthy" : "warning",
      reason: checks.map(({ reason }) => reason).join("; "),
      ...(remedies.length > 0 && { remedy: [...new Set(remedies)].join("; ") }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.runners.map((runner) => runner[Symbol.asyncDispose]()));
    this.#running.clear();
  }
}

function checkOf(
  { source, observer, lease }: SourceRunner,
  figures: readonly SourceFigures[],
  now: number,
): CheckResult {
  const { name } = source;
  if (lease.kind === "elsewhere") {
    const holder = lease.holder ?? "another bridge";
    return { status: "healthy", reason: `${name} is read by ${holder}, and this one stands by` };
  }
  if (lease.kind === "none") {
    return {
      status: "warning",
      reason: `${name} is not read: the control plane has not given its lease`,
      remedy: "see whether the connection to the control plane is up",
    };
  }
  const kinds = figures.filter((each) => each.source === name);
  const scan = kinds.find(({ kind }) => kind === (source.kinds[0] ?? "device"))?.lastScan;
  const reasons = [
    scan === undefined
      ? progressWords(observer)
      : // A time and not how long ago: health is told in full only where it is another than a minute before.
        `last read whole at ${new Date(scan.endedAt).toISOString().slice(0, 19)}Z`,
  ];
  const remedies: string[] = [];
  const fault = observer.lastFault;
  if (fault !== undefined && now - fault.at < FAULT_SHOWN_MS) {
    reasons.push(`it cannot be read well: ${fault.message}`);
    remedies.push("see the check of the source itself, and the reason");
  }
  for (const [table, { message }] of observer.tableFaults) {
    reasons.push(`${table} is left out, and what it told stays as it was: ${message}`);
    remedies.push(`look at ${table} at the site, or take it out of inventoryClasses`);
  }
  for (const drift of observer.drift.unhealed()) {
    reasons.push(`a drift does not heal: ${driftWords(drift)}`);
    remedies.push(
      "bring bridge and control plane to the same release; if they are, report it with these keys",
    );
  }
  const waiting = kinds.reduce((sum, each) => sum + each.waiting, 0);
  if (waiting > 0) {
    reasons.push(`${waiting} deletions are too many at once and wait for an approval`);
    remedies.push("look at `comgmt-bridge deletions list`; if it is true, `deletions approve`");
  }
  return {
    status: remedies.length === 0 ? "healthy" : "warning",
    reason: `${name}: ${reasons.join("; ")}`,
    ...(remedies.length > 0 && { remedy: remedies.join("; ") }),
  };
}

/** Own choice: faults that are not seen again for so long are over. */
const FAULT_SHOWN_MS = 300_000;

function progressWords({ progressByKind }: SourceRunner["observer"]): string {
  const [first] = progressByKind;
  if (first === undefined) return "its first reading begins";
  const [kind, { read, expected }] = first;
  const of = expected === undefined ? "" : ` of about ${expected}`;
  return `first reading, ${kind}: ${read}${of}`;
}

const standalone: CheckResult = {
  status: "warning",
  reason: "this bridge runs without a control plane, so nothing is synchronised",
  remedy: "enrol it at a control plane",
};

const nothingWanted: CheckResult = {
  status: "warning",
  reason: "the desired configuration names no source, so no inventory is synchronised",
  remedy: "name a site under sites in the bridge's desired configuration",
};
