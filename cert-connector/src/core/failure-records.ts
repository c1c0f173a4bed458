import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf, RefusalError } from "@isthmus/shared/errors";
import type { FailureRecord, Ledger } from "./ledger.ts";
import { failurePayload, type PlannedNotification } from "./notification.ts";
import type { FailureRecorder } from "./ports.ts";

/** Our own limit. Anybody who reaches the port can cause failures; each costs a write, a stream entry and an audit link. */
export const MAX_RECORDS_PER_MINUTE = 600;
const MINUTE_MS = 60_000;

/** Records failures in the ledger, so many a minute; `onSuppressed` hears of each one that was only counted. */
export function failureRecords(
  ledger: Pick<Ledger, "recordFailure">,
  clock: Clock,
  onSuppressed: () => void,
): FailureRecorder {
  let minute = 0;
  let recorded = 0;
  return async ({ error, notification, ...about }) => {
    const at = clock.now();
    const present = Math.floor(at / MINUTE_MS);
    if (present !== minute) [minute, recorded] = [present, 0];
    const notify = notificationOf(error, notification);
    // Only what was validated is told, and nobody floods with that.
    if (recorded >= MAX_RECORDS_PER_MINUTE && notify === undefined) return onSuppressed();
    recorded += 1;
    await ledger.recordFailure({ ...about, ...described(error), notify, at });
  };
}

function notificationOf(
  error: unknown,
  planned: PlannedNotification | undefined,
): FailureRecord["notify"] {
  const payload = planned && failurePayload(error, planned);
  return payload && { target: planned.target, payload };
}

/** An error of ours tells what happened; any other leaves without detail. */
function described(error: unknown) {
  return {
    code: codeOf(error),
    rule: error instanceof RefusalError ? error.rule : undefined,
    message: error instanceof ConnectorError ? error.message : "internal error; see the log",
  };
}
