import { ConnectorError, codeOf, RefusalError } from "@isthmus/shared/errors";
import type { TracedMessage } from "../core/enrolment-trace.ts";
import type { ScepReport } from "../device/scep-operations.ts";
import type { CertificateKernel } from "./service.ts";

/** A refusal is an expected outcome and one line; what nobody foresaw comes with its stack. */
export function logReport(log: CertificateKernel["log"], report: ScepReport): void {
  const { profileId, messageType, transactionId, status, error, deviceId } = report;
  const about = { profileId, messageType, transactionId, status, deviceId };
  if (error === undefined) log.info(about, "scep.answered");
  else if (error instanceof ConnectorError) {
    log.info({ ...about, code: error.code, reason: error.message }, "scep.refused");
  } else log.error({ ...about, err: error }, "scep.failed");
}

/** The report as it is kept. The device of a certificate is in the ledger; here it would cost an index entry. */
export function tracedMessage(report: ScepReport): TracedMessage {
  const { transactionId, profileId, messageType, status, at, steps, earlier, error } = report;
  const message = { transactionId, profileId, messageType, status, at, steps, ...earlier };
  if (error === undefined) return message;
  const { deviceId } = report;
  return { ...message, failure: failureOf(error), ...(deviceId !== undefined && { deviceId }) };
}

function failureOf(error: unknown): NonNullable<TracedMessage["failure"]> {
  const message = error instanceof ConnectorError ? error.message : "internal error; see the log";
  const rule = error instanceof RefusalError ? { rule: error.rule } : {};
  return { code: codeOf(error), ...rule, message };
}
