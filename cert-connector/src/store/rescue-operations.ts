import { RefusalError } from "@isthmus/shared/errors";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { Grant } from "../core/grant.ts";
import { recordAudit } from "./audit.ts";

/**
 * Lets a device in whose certificate has expired, and puts it on record with an event of its own. A device of which a
 * certificate was revoked since, for any reason but that it got a newer one, is not let in. Does nothing for an ordinary
 * request. Throws RefusalError `rescue-blocked`.
 */
export function admitRescue(
  tx: Transaction,
  request: {
    readonly transactionId: string;
    readonly profileId: string;
    readonly grant: Grant;
    readonly renewsSerialNumber?: string | undefined;
    readonly at: number;
  },
): void {
  const { grant, renewsSerialNumber, at, transactionId, profileId } = request;
  const { rescue, deviceId } = grant;
  if (rescue === undefined || rescue.of !== renewsSerialNumber) return;
  if (deviceId !== undefined && wasRevokedSince(tx, deviceId, rescue.issuedAt)) {
    throw new RefusalError(
      "rescue-blocked",
      "ledger.revoked",
      "A certificate of this device was revoked; it has to enrol with a new challenge",
    );
  }
  const { of: expired, count, expiredAt } = rescue;
  const payload = { transactionId, profileId, deviceId, expired, expiredAt, count };
  recordAudit(tx, { at, event: "enrolment.rescued", payload });
}

function wasRevokedSince(tx: Transaction, deviceId: string, since: number): boolean {
  const row = tx.get(
    `SELECT id FROM enrolment
     WHERE device_id = ? AND revoked_at IS NOT NULL AND revoked_at >= ? AND revocation_reason <> 'superseded' LIMIT 1`,
    deviceId,
    since,
  );
  return row !== undefined;
}
