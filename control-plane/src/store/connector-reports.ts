import type { Transaction } from "@isthmus/shared/store/transaction";
import type { AuditHeadClaim, AuditHeadVerdict, HealthReport } from "../core/link-records.ts";
import { checkSession, recordConnectorEvent } from "./connector-sessions.ts";
import { takeTunnelHealth } from "./tunnel-health-operations.ts";

/** Whether a head may be countersigned: not where it, or the entries received, say otherwise in the same epoch. */
function judgeAuditHead(transaction: Transaction, claim: AuditHeadClaim): AuditHeadVerdict {
  const epoch = Number(checkSession(transaction, claim)["epoch"]);
  const { connectorId, index, hash, now } = claim;
  const known = transaction.get(
    `SELECT idx, hash FROM audit_head WHERE connector_id = ? AND epoch = ? AND idx >= ? ORDER BY idx LIMIT 1`,
    connectorId,
    epoch,
    index,
  );
  if (known !== undefined && known["idx"] === index && known["hash"] === hash) return "known";
  const entry = transaction.get(
    "SELECT 1 FROM audit_entry WHERE connector_id = ? AND idx = ? AND epoch = ? AND hash <> ?",
    connectorId,
    index,
    epoch,
    hash,
  );
  if (known === undefined && entry === undefined) return "countersign";
  const detail = `head ${index} of epoch ${epoch} contradicts what was received before`;
  recordConnectorEvent(transaction, connectorId, now, "audit.forked", detail);
  return "fork";
}

/** Keeps a countersigned head. */
function storeAuditHead(
  transaction: Transaction,
  claim: AuditHeadClaim & { readonly jws: string },
): void {
  const epoch = Number(checkSession(transaction, claim)["epoch"]);
  transaction.run(
    `INSERT INTO audit_head (connector_id, epoch, idx, hash, received_at, jws) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
    claim.connectorId,
    epoch,
    claim.index,
    claim.hash,
    claim.now,
    claim.jws,
  );
}

/** Keeps a connector's health. Answers whether the snapshot is wanted: its digest is not that of the one at hand. */
function storeHealth(
  transaction: Transaction,
  report: HealthReport,
): { readonly isSnapshotWanted: boolean } {
  checkSession(transaction, report);
  const { connectorId, digest, snapshot, now } = report;
  if (snapshot === undefined) {
    const { changes } = transaction.run(
      "UPDATE connector_health SET received_at = ? WHERE connector_id = ? AND digest = ?",
      now,
      connectorId,
      digest,
    );
    if (changes === 0) return { isSnapshotWanted: true };
    takeTunnelHealth(transaction, { connectorId, now });
    return { isSnapshotWanted: false };
  }
  transaction.run(
    `INSERT INTO connector_health (connector_id, snapshot, digest, received_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (connector_id) DO UPDATE SET snapshot = excluded.snapshot, digest = excluded.digest,
       received_at = excluded.received_at`,
    connectorId,
    snapshot,
    digest,
    now,
  );
  takeTunnelHealth(transaction, { connectorId, now });
  return { isSnapshotWanted: false };
}

/** What connectors report of themselves beside their streams. */
export const reportOperations = { judgeAuditHead, storeAuditHead, storeHealth };
