import type { TraceEvent, TransactionTrace } from "../core/trace-view.ts";

const OUTCOME_TEXTS: Readonly<Record<TraceEvent["outcome"], string>> = {
  ok: "ok",
  failed: "FAILED",
  waiting: "waits",
};

/** What `trace` prints: one block for each transaction, the newest first, and at its end why and what to do. */
export function traceText(traces: readonly TransactionTrace[]): string {
  if (traces.length === 0) {
    return [
      "Nothing of this transaction, device or certificate has reached this connector, or it is older than what is kept.",
      "Is the address in the device's profile the one of this connector? Requests that were never understood are in the log.",
      "Where the challenge proves no device, as a static one, ask with the transaction id (in the log) or the serial number.",
    ].join("\n");
  }
  return traces.map(blockOf).join("\n\n");
}

function blockOf(trace: TransactionTrace): string {
  const { transactionId, profileId, deviceId, subject, serialNumber, verdict } = trace;
  const facts = [
    ["profile", profileId],
    ["device", deviceId],
    ["subject", subject],
    ["serial number", serialNumber],
  ].flatMap(([name, value]) => (value === undefined ? [] : [`  ${name}: ${value}`]));
  const { outcome, code, sentence, cause, remedy } = verdict;
  return [
    `transaction ${transactionId}`,
    ...facts,
    ...trace.events.map(lineOf),
    `  ${outcome}${code === undefined ? "" : ` (${code})`}: ${sentence}`,
    ...(cause === undefined ? [] : [`  why: ${cause}`]),
    ...(remedy === undefined ? [] : [`  what to do: ${remedy}`]),
  ].join("\n");
}

function lineOf({ at, what, outcome, milliseconds, detail }: TraceEvent): string {
  const took = milliseconds === undefined ? "" : `${milliseconds.toFixed(2)} ms`;
  const time = new Date(at).toISOString();
  const line = `  ${time}  ${OUTCOME_TEXTS[outcome].padEnd(6)} ${took.padStart(10)}  ${what}`;
  return detail === undefined ? line : `${line}: ${detail}`;
}
