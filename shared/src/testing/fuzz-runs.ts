/** How many inputs a property test tries: `ordinary`, times the factor in the environment variable FUZZ_FACTOR. */
export function fuzzRuns(ordinary: number): number {
  const factor = Number(process.env["FUZZ_FACTOR"] ?? "1");
  return Math.max(1, Math.round(ordinary * (Number.isFinite(factor) ? factor : 1)));
}
