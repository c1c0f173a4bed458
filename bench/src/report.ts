import type { BenchOutcome } from "./bench.ts";
import { type Figure, type Verdict, verdict } from "./figure.ts";
import type { Machine } from "./machine.ts";

/** A bench that ran, or that could not. */
export interface BenchReport {
  readonly bench: string;
  readonly seconds: number;
  readonly isJudged: boolean;
  readonly outcome: BenchOutcome | { readonly error: string };
}

/** How often a budget is missed over all reports; a bench that could not run misses its budget. */
export function missedBudgets(reports: readonly BenchReport[]): string[] {
  return reports.flatMap(({ bench, outcome, isJudged }) => {
    if ("error" in outcome) return [`${bench}: ${outcome.error}`];
    return outcome.figures
      .filter((one) => verdict(one, isJudged) === "missed")
      .map(
        (one) => `${bench}: ${one.name} is ${shown(one.value)} ${one.unit}, budget ${limit(one)}`,
      );
  });
}

/** What `--json` prints: everything that was measured, each sample included. */
export function asJson(machine: Machine, reports: readonly BenchReport[]): string {
  const benches = reports.map(({ bench, seconds, isJudged, outcome }) => ({
    bench,
    seconds,
    ...("error" in outcome
      ? outcome
      : {
          figures: outcome.figures.map((one) => ({ ...one, verdict: verdict(one, isJudged) })),
          notes: outcome.notes,
        }),
  }));
  return JSON.stringify({ machine, benches }, null, 2);
}

/** The machine in two lines and one table per bench. */
export function asText(machine: Machine, reports: readonly BenchReport[]): string {
  return [describe(machine), ...reports.map(table)].join("\n\n");
}

function describe(machine: Machine): string {
  const { cpu, cores, memoryGiB, kernel, loadAverage } = machine;
  return [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, load ${loadAverage} at the start, ${machine.measuredAt}`,
    `Node ${machine.node} (OpenSSL ${machine.nodeOpenssl}), openssl ${machine.openssl}, nginx ${machine.nginx}, scepserver ${machine.scepserver}`,
  ].join("\n");
}

function table(report: BenchReport): string {
  const title = `${report.bench} (${report.seconds.toFixed(0)} s)`;
  if ("error" in report.outcome) return `${title}\n  could not run: ${report.outcome.error}`;
  const rows = report.outcome.figures.map((one) => row(one, report.isJudged));
  const notes = report.outcome.notes.map((note) => `  note: ${note}`);
  return [title, ...aligned([HEADINGS, ...rows]), ...notes].join("\n");
}

const HEADINGS = ["", "median", "unit", "min..max", "budget", ""];
const MARKS: Readonly<Record<Verdict, string>> = {
  within: "within",
  missed: "MISSED",
  unjudged: "not judged",
  none: "",
};

function row(one: Figure, isJudged: boolean): string[] {
  const spread =
    one.samples.length < 2
      ? ""
      : `${shown(Math.min(...one.samples))}..${shown(Math.max(...one.samples))}`;
  return [one.name, shown(one.value), one.unit, spread, limit(one), MARKS[verdict(one, isJudged)]];
}

function limit(one: Figure): string {
  if (one.budget === undefined) return "";
  return "atMost" in one.budget
    ? `<= ${shown(one.budget.atMost)}`
    : `>= ${shown(one.budget.atLeast)}`;
}

/** Three significant digits below a thousand, whole numbers above: more would claim what no run can repeat. */
function shown(value: number): string {
  if (!Number.isFinite(value)) return "-";
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((cells) => (cells[column] ?? "").length)),
  );
  return rows.map((cells) => {
    const padded = cells.map((cell, column) => pad(cell, widths[column] ?? 0, column === 1));
    return `  ${padded.join("  ").trimEnd()}`;
  });
}

function pad(cell: string, width: number, isNumber: boolean): string {
  return isNumber ? cell.padStart(width) : cell.padEnd(width);
}
