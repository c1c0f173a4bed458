import { parseArgs } from "node:util";
import type { Bench } from "./bench.ts";

/** What the command line asks for; `help` and `fault` end it before any bench runs. */
export type Request =
  | { readonly kind: "help" }
  | { readonly kind: "fault"; readonly message: string }
  | {
      readonly kind: "run";
      readonly benches: readonly Bench[];
      readonly isJson: boolean;
      readonly isAsserted: boolean;
      /** Rounds, where the command line says so. */
      readonly runs: number | undefined;
      readonly scale: number;
    };

const MAX_RUNS = 1_000;

/** Reads the words behind the program's name. */
export function parseCommandLine(words: readonly string[], known: readonly Bench[]): Request {
  try {
    return interpret(words, known);
  } catch (error) {
    return { kind: "fault", message: error instanceof Error ? error.message : String(error) };
  }
}

function interpret(words: readonly string[], known: readonly Bench[]): Request {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      assert: { type: "boolean", default: false },
      runs: { type: "string" },
      scale: { type: "string", default: "1" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return { kind: "help" };
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 100)) throw new Error(`--scale ${values.scale} is not in 0..100`);
  if (values.assert && scale < 1) {
    throw new Error("--assert needs the whole amount of work: --scale 1 or more");
  }
  return {
    kind: "run",
    benches: chosen(positionals, known),
    isJson: values.json,
    isAsserted: values.assert,
    runs: values.runs === undefined ? undefined : parseRuns(values.runs),
    scale,
  };
}

function chosen(names: readonly string[], known: readonly Bench[]): Bench[] {
  if (names.length === 0) throw new Error("name a bench");
  if (names.includes("all")) return [...known];
  return names.flatMap((name) => {
    const family = known.filter((one) => one.name === name || one.name.startsWith(`${name}-`));
    if (family.length > 0) return family;
    throw new Error(`no bench ${name}; there are ${known.map((one) => one.name).join(", ")}, all`);
  });
}

function parseRuns(text: string): number {
  const runs = Number(text);
  if (Number.isInteger(runs) && runs >= 1 && runs <= MAX_RUNS) return runs;
  throw new Error(`--runs ${text} is not a whole number from 1 to ${MAX_RUNS}`);
}

/** The text of `--help`. */
export function help(known: readonly Bench[]): string {
  return `Measures the suite against floors, peers and budgets; bench/README.md says what each figure means.

Usage: npm run bench -- <bench>... [options]

Benches:
${known.map(({ name, summary, defaultRuns }) => `  ${name.padEnd(11)} ${summary} (--runs ${defaultRuns})`).join("\n")}
  sync        the three whose names begin with it
  all         each of them in turn

Options:
  --runs N    rounds of interleaved pairs; the medians of the rounds are printed
  --scale F   multiplies the work of a round; below 1 for a quick try, whose budgets are not judged
  --assert    exit 1 where a budget is missed or a bench could not run
  --json      one JSON document on stdout, with every sample
  --help

Measure on a quiet machine: a load printed above about 0.3 means rough figures.
`;
}
