import type { Store } from "@isthmus/shared/store/store";
import type { CertificateOperations } from "../store/operations.ts";

/** Own limit on one listing. */
const MAX_LISTED = 1_000;

/** A request that waits for a person. */
export interface PendingSummary {
  readonly id: number;
  readonly profileId: string;
  readonly deviceId: string | null;
  readonly subject: string;
  readonly requestedAt: number;
}

/** The oldest requests that wait, up to 1,000. */
export function pendingRequests(
  store: Pick<Store<CertificateOperations>, "query">,
): Promise<PendingSummary[]> {
  return store.query<PendingSummary>(
    `SELECT id, profile_id AS profileId, device_id AS deviceId, subject, requested_at AS requestedAt
     FROM enrolment WHERE state = 'pending' ORDER BY id LIMIT ${MAX_LISTED}`,
    [],
    MAX_LISTED,
  );
}
