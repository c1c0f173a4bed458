import { appendFileSync } from "node:fs";

/**
 * How many inputs a property test tries: `ordinary`, times the factor in the environment variable FUZZ_FACTOR. With
 * FUZZ_RECORD each number is noted in that file, a line with the test file, what is ordinary and what is tried.
 */
export function fuzzRuns(ordinary: number): number {
  const factor = Number(process.env["FUZZ_FACTOR"] ?? "1");
  const runs = Math.max(1, Math.round(ordinary * (Number.isFinite(factor) ? factor : 1)));
  const record = process.env["FUZZ_RECORD"];
  if (record !== undefined) {
    appendFileSync(record, `${JSON.stringify({ file: callingTest(), ordinary, runs })}\n`);
  }
  return runs;
}

function callingTest(): string {
  const [file = "unknown"] = /[\w./-]+\.fuzz\.ts/.exec(new Error().stack ?? "") ?? [];
  return file;
}
