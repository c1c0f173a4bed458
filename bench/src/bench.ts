import type { Figure } from "./figure.ts";

/** What a bench gets from the command line. */
export interface BenchOptions {
  /** Rounds of interleaved pairs; each gives one sample per figure. */
  readonly runs: number;
  /** Multiplies the amount of work of a round; below 1 for a try-out whose budgets are not judged. */
  readonly scale: number;
  /** An empty folder, removed afterwards. */
  readonly folder: string;
  /** Says where the bench is; goes to stderr. */
  progress(line: string): void;
}

/** What a bench has to say: its figures in the order of printing, and notes about what was left out or odd. */
export interface BenchOutcome {
  readonly figures: readonly Figure[];
  readonly notes: readonly string[];
}

/** One of `npm run bench -- <name>`. */
export interface Bench {
  readonly name: string;
  /** One line for `--help`. */
  readonly summary: string;
  readonly defaultRuns: number;
  run(options: BenchOptions): Promise<BenchOutcome>;
}
