import { median } from "./measure/statistics.ts";

/** What a figure may be at most, or has to be at least. */
export type Budget = { readonly atMost: number } | { readonly atLeast: number };

/** One number of a bench: the median of its samples, one per round, with their spread. */
export interface Figure {
  readonly name: string;
  /** As printed behind the value: `ms`, `CPU-ms`, `MB/s`, `x` for a ratio. */
  readonly unit: string;
  readonly value: number;
  readonly samples: readonly number[];
  readonly budget?: Budget;
}

/** A figure's standing against its budget; `unjudged` where the run was too small or too foreign to count. */
export type Verdict = "within" | "missed" | "unjudged" | "none";

/** A figure from one sample per round. */
export function figure(
  name: string,
  unit: string,
  samples: number | readonly number[],
  budget?: Budget,
): Figure {
  const all = typeof samples === "number" ? [samples] : samples;
  const base = { name, unit, value: median(all), samples: all };
  return budget === undefined ? base : { ...base, budget };
}

/** `isJudged` is false where the run was scaled down: its figures are shown, its budgets are not held against it. */
export function verdict(of: Figure, isJudged: boolean): Verdict {
  if (of.budget === undefined) return "none";
  if (!isJudged) return "unjudged";
  const { value, budget } = of;
  const isWithin = "atMost" in budget ? value <= budget.atMost : value >= budget.atLeast;
  return isWithin ? "within" : "missed";
}
