import type { Migration, Row, Transaction } from "@isthmus/shared/store/transaction";
import type { PkcsDelivery, PkcsDraft } from "../core/pkcs-issuance.ts";
import { recordAudit } from "./audit.ts";

/** Orders of keys made here: a draft with its sealed key, then the envelope in its place. */
export const pkcsMigrations: readonly Migration[] = [
  {
    id: "pkcs-1",
    sql: `
      CREATE TABLE pkcs_order (
        request_id TEXT PRIMARY KEY,
        profile_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        recipient_thumbprint TEXT NOT NULL,
        certification_request BLOB,
        sealed_key BLOB,
        begun_at INTEGER NOT NULL,
        serial_number TEXT,
        thumbprint TEXT,
        not_after INTEGER,
        envelope BLOB,
        completed_at INTEGER
      ) STRICT;
      CREATE INDEX pkcs_order_by_age ON pkcs_order (begun_at);
    `,
  },
];

/** Commands live 31 days at most, and after that nobody asks for the order again. */
const RETENTION_MS = 31 * 86_400_000;
const MAX_PRUNED = 50;

type Standing = PkcsDraft | PkcsDelivery;

/** Keeps a draft unless the request id has one, or its delivery, already; returns what stands. */
export function beginPkcsOrder(tx: Transaction, draft: PkcsDraft): Standing {
  const known = findRow(tx, draft.requestId);
  if (known !== undefined) return pkcsStanding(known);
  tx.run(
    `DELETE FROM pkcs_order WHERE request_id IN (SELECT request_id FROM pkcs_order WHERE begun_at < ? LIMIT ${MAX_PRUNED})`,
    draft.at - RETENTION_MS,
  );
  // Another replica may have begun the same order between the look and here.
  const { changes } = tx.run(
    `INSERT INTO pkcs_order (request_id, profile_id, device_id, recipient_thumbprint, certification_request, sealed_key,
       begun_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_id) DO NOTHING`,
    draft.requestId,
    draft.profileId,
    draft.deviceId,
    draft.recipientThumbprint,
    draft.certificationRequest,
    draft.sealedKey,
    draft.at,
  );
  const row = changes === 0 ? findRow(tx, draft.requestId) : undefined;
  return row === undefined ? draft : pkcsStanding(row);
}

/** The envelope takes the key's place: from now on no key is here. Of two deliveries of one order the first stays. */
export function completePkcsOrder(
  tx: Transaction,
  { at, ...delivery }: PkcsDelivery & { at: number },
): PkcsDelivery {
  const { requestId, deviceId, serialNumber, thumbprint, recipientThumbprint, notAfter } = delivery;
  const { changes } = tx.run(
    `UPDATE pkcs_order SET certification_request = NULL, sealed_key = NULL, serial_number = ?, thumbprint = ?,
       not_after = ?, envelope = ?, completed_at = ? WHERE request_id = ? AND envelope IS NULL`,
    serialNumber,
    thumbprint,
    notAfter,
    delivery.envelope,
    at,
    requestId,
  );
  if (changes === 1) {
    const payload = { requestId, deviceId, serialNumber, thumbprint, recipientThumbprint };
    recordAudit(tx, { at, event: "pkcs.sealed", payload });
  }
  const row = findRow(tx, requestId);
  return row === undefined ? delivery : (pkcsStanding(row) as PkcsDelivery);
}

function findRow(tx: Transaction, requestId: string): Row | undefined {
  return tx.get("SELECT * FROM pkcs_order WHERE request_id = ?", requestId);
}

/** A row of `pkcs_order` that this code wrote. */
export function pkcsStanding(row: Row): Standing {
  const common = {
    requestId: row["request_id"] as string,
    deviceId: row["device_id"] as string,
    recipientThumbprint: row["recipient_thumbprint"] as string,
  };
  if (row["envelope"] !== null) {
    return {
      ...common,
      serialNumber: row["serial_number"] as string,
      thumbprint: row["thumbprint"] as string,
      notAfter: row["not_after"] as number,
      envelope: row["envelope"] as Uint8Array,
    };
  }
  return {
    ...common,
    profileId: row["profile_id"] as string,
    certificationRequest: row["certification_request"] as Uint8Array,
    sealedKey: row["sealed_key"] as Uint8Array,
    at: row["begun_at"] as number,
  };
}
