import { Gauge, type Registry } from "prom-client";
import type { Clock } from "../clock.ts";
import { ConnectorError } from "../errors.ts";
import type { HealthSnapshot } from "../link/messages.ts";
import type { CheckResult, Health, HealthCheck } from "./service-definition.ts";

/** Own limits. */
const MAX_CHECKS = 100;
const MAX_FIGURES = 50;
const MAX_FACTS = 50;
const MAX_FACT_CHARACTERS = 256;
const CHECK_TIMEOUT_MS = 10_000;
const MAX_SENTENCE_CHARACTERS = 1_000;
/** Results are this old at most when they are shown; a busy prober does not run the checks each time. */
const RESULTS_LIVE_MS = 5_000;

const NAME = /^[a-z][a-z0-9-]{0,63}$/;
const STATUS_VALUES = { healthy: 1, warning: 0.5, unhealthy: 0, unknown: -1 } as const;

export interface NamedResult extends CheckResult {
  readonly name: string;
}

/** All that a process checks about itself, and its figures. */
export class HealthBoard implements Health {
  readonly #clock: Clock;
  readonly #checks = new Map<string, HealthCheck>();
  readonly #figures = new Map<string, () => number>();
  readonly #facts = new Map<string, () => string | undefined>();
  #results: readonly NamedResult[] = [];
  #resultsAt = Number.NEGATIVE_INFINITY;
  #running: Promise<readonly NamedResult[]> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  register(check: HealthCheck): void {
    requireName(check.name);
    if (this.#checks.size >= MAX_CHECKS && !this.#checks.has(check.name)) {
      throw new ConnectorError("health-too-many", `more than ${MAX_CHECKS} health checks`);
    }
    this.#checks.set(check.name, check);
  }

  figure(name: string, read: () => number): void {
    requireName(name);
    if (this.#figures.size >= MAX_FIGURES && !this.#figures.has(name)) {
      throw new ConnectorError("health-too-many", `more than ${MAX_FIGURES} figures`);
    }
    this.#figures.set(name, read);
  }

  fact(name: string, read: () => string | undefined): void {
    requireName(name);
    if (this.#facts.size >= MAX_FACTS && !this.#facts.has(name)) {
      throw new ConnectorError("health-too-many", `more than ${MAX_FACTS} facts`);
    }
    this.#facts.set(name, read);
  }

  /** The facts that are known now; one that is too long would compare as another, and is left out. */
  facts(): Record<string, string> {
    const read = [...this.#facts].flatMap(([name, value]) => {
      const text = value();
      const isTold = text !== undefined && text.length <= MAX_FACT_CHARACTERS;
      return isTold ? [[name, text] as const] : [];
    });
    return Object.fromEntries(read);
  }

  figures(): Readonly<Record<string, number>> {
    const read = [...this.#figures].map(([name, value]) => [name, value()] as const);
    return Object.fromEntries(read.filter(([, value]) => Number.isFinite(value)));
  }

  /** The result of every check, at most 5 s old; `isFresh` runs them now. */
  async results(isFresh = false): Promise<readonly NamedResult[]> {
    if (!isFresh && this.#clock.now() - this.#resultsAt < RESULTS_LIVE_MS) return this.#results;
    this.#running ??= this.#runAll().finally(() => {
      this.#running = undefined;
    });
    return await this.#running;
  }

  /** What the control plane is told. */
  async snapshot(
    about: Pick<HealthSnapshot, "service" | "version" | "startedAt">,
    isFresh = false,
  ): Promise<HealthSnapshot> {
    const checks = [...(await this.results(isFresh))];
    const facts = this.#facts.size === 0 ? {} : { facts: this.facts() };
    return { ...about, checks, figures: this.figures(), ...facts };
  }

  /** Puts checks and figures among the Prometheus metrics. */
  publishTo(registry: Registry): void {
    const board = this;
    new Gauge({
      name: "isthmus_check_status",
      help: "1 healthy, 0.5 warning, 0 unhealthy, -1 unknown",
      labelNames: ["check"],
      registers: [registry],
      async collect() {
        for (const { name, status } of await board.results()) {
          this.set({ check: name }, STATUS_VALUES[status]);
        }
      },
    });
    new Gauge({
      name: "isthmus_figure",
      help: "Figures of the service by name",
      labelNames: ["figure"],
      registers: [registry],
      collect() {
        // One that is not known any more would stay as it was.
        this.reset();
        for (const [name, value] of Object.entries(board.figures()))
          this.set({ figure: name }, value);
      },
    });
  }

  async #runAll(): Promise<readonly NamedResult[]> {
    const results = await Promise.all([...this.#checks.values()].map(runCheck));
    this.#results = results;
    this.#resultsAt = this.#clock.now();
    return results;
  }
}

/** Runs one check within 10 s; what it throws, or not answering, is `unhealthy`. */
export async function runCheck(check: HealthCheck): Promise<NamedResult> {
  const timeout = Promise.withResolvers<CheckResult>();
  const timer = setTimeout(() => timeout.resolve(tooSlow), CHECK_TIMEOUT_MS);
  try {
    const result = await Promise.race([(async () => check.run())(), timeout.promise]);
    return bounded(check.name, result);
  } catch (error) {
    return bounded(check.name, failedCheck(error));
  } finally {
    clearTimeout(timer);
  }
}

const tooSlow: CheckResult = {
  status: "unhealthy",
  reason: `the check gave no answer in ${CHECK_TIMEOUT_MS / 1_000} s`,
  remedy: "see whether what it asks is reachable and not overloaded",
};

function failedCheck(error: unknown): CheckResult {
  const known = error instanceof ConnectorError;
  return {
    status: "unhealthy",
    reason: known ? error.message : `the check failed: ${(error as Error)?.message ?? error}`,
    remedy: known ? "see the reason" : "see the service's log",
  };
}

function bounded(name: string, { status, reason, remedy }: CheckResult): NamedResult {
  const short = (text: string) => text.slice(0, MAX_SENTENCE_CHARACTERS);
  const result = { name, status, reason: short(reason) };
  return remedy === undefined ? result : { ...result, remedy: short(remedy) };
}

function requireName(name: string): void {
  if (NAME.test(name)) return;
  throw new ConnectorError("health-name", `${JSON.stringify(name)} does not match ${NAME}`);
}
