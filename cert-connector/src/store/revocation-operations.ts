import { ConnectorError } from "@isthmus/shared/errors";
import { recordAudit } from "@isthmus/shared/kernel/audit-operations";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import { CLOCK_TOLERANCE_MS } from "../core/ledger.ts";
import type { PublishedList, RevokedCertificate } from "../core/revocation-ledger.ts";

/** Our own limit on one list, about 40 bytes an entry. Over it no list is made: a short one would be a lie. */
const MAX_LIST_ENTRIES = 1_000_000;
const MS_PER_SECOND = 1_000;

/**
 * Takes the next number and reads what is revoked. The number is at least the time in seconds, so that it grows even
 * where a restored backup has forgotten the last ones.
 */
export function beginRevocationList(
  tx: Transaction,
  of: { issuerKeyId: string; at: number; expiredBefore: number },
): { number: number; revoked: RevokedCertificate[] } {
  const last = tx.get(
    "SELECT last_number, this_update FROM revocation_list WHERE issuer_key_id = ?",
    of.issuerKeyId,
  );
  refuseClockBehind((last?.["this_update"] as number | null | undefined) ?? 0, of.at);
  const number = Math.max(
    ((last?.["last_number"] as number | undefined) ?? 0) + 1,
    Math.floor(of.at / MS_PER_SECOND),
  );
  tx.run(
    `INSERT INTO revocation_list (issuer_key_id, last_number) VALUES (?, ?)
     ON CONFLICT (issuer_key_id) DO UPDATE SET last_number = excluded.last_number`,
    of.issuerKeyId,
    number,
  );
  return { number, revoked: readRevoked(tx, of) };
}

function readRevoked(
  tx: Transaction,
  of: { issuerKeyId: string; expiredBefore: number },
): RevokedCertificate[] {
  const rows = tx.all(
    `SELECT serial_number, revoked_at, revocation_reason FROM enrolment
     WHERE issuer_key_id = ? AND revoked_at IS NOT NULL AND not_after >= ? LIMIT ?`,
    of.issuerKeyId,
    of.expiredBefore,
    MAX_LIST_ENTRIES + 1,
  );
  if (rows.length > MAX_LIST_ENTRIES) {
    throw new ConnectorError(
      "revocation-list-too-large",
      `more than ${MAX_LIST_ENTRIES} revoked certificates; a new issuing CA is due`,
    );
  }
  return rows.map((row) => ({
    serialNumber: row["serial_number"] as string,
    revokedAt: row["revoked_at"] as number,
    reason: row["revocation_reason"] as RevocationReason,
  }));
}

/** Keeps a signed list, unless a newer one is there. */
export function storeRevocationList(tx: Transaction, list: PublishedList): void {
  const { changes } = tx.run(
    `UPDATE revocation_list SET number = ?, this_update = ?, next_update = ?, der = ?
     WHERE issuer_key_id = ? AND coalesce(number, 0) < ?`,
    list.number,
    list.thisUpdate,
    list.nextUpdate,
    list.der,
    list.issuerKeyId,
    list.number,
  );
  if (changes === 0) return;
  const { issuerKeyId, number, thisUpdate: at, nextUpdate } = list;
  const payload = { issuerKeyId, number, nextUpdate };
  recordAudit(tx, { at, event: "revocation-list.published", payload });
}

function refuseClockBehind(lastUpdate: number, at: number): void {
  if (at >= lastUpdate - CLOCK_TOLERANCE_MS) return;
  throw new ConnectorError(
    "clock-behind",
    `the clock is ${lastUpdate - at} ms behind the last revocation list; set it right`,
    { isRetryable: true },
  );
}
