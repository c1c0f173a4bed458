import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type { EnrolmentClaim, EnrolmentOutcome, Refusal } from "../core/link-records.ts";
import { recordConnectorEvent } from "./connector-sessions.ts";

/** One refusal for every way a token can be wrong, so that nobody learns which of them it was. */
const REFUSED: Refusal = {
  code: "enrolment-token-refused",
  message: "the enrolment token is unknown, used, expired or for another service",
  isFinal: true,
};

/**
 * Uses up a one-time token and creates the connector. The same token with the same key again (an answer was lost) gets the
 * same connector; with another key it is refused.
 */
function claimEnrolmentToken(transaction: Transaction, claim: EnrolmentClaim): EnrolmentOutcome {
  const token = transaction.get(
    "SELECT * FROM enrolment_token WHERE secret_hash = ? AND expires_at > ? AND service = ?",
    claim.secretHash,
    claim.now,
    claim.service,
  );
  if (token === undefined) return { refusal: REFUSED };
  if (token["used_at"] !== null) return repeated(transaction, token, claim);
  const sameKey = transaction.get(
    "SELECT id FROM connector WHERE public_key_x = ?",
    claim.publicKeyX,
  );
  if (sameKey !== undefined) return { refusal: REFUSED };
  create(transaction, token, claim);
  return { connectorId: claim.newConnectorId };
}

function repeated(transaction: Transaction, token: Row, claim: EnrolmentClaim): EnrolmentOutcome {
  const connectorId = String(token["connector_id"]);
  const row = transaction.get(
    "SELECT 1 FROM connector WHERE id = ? AND public_key_x = ?",
    connectorId,
    claim.publicKeyX,
  );
  return row === undefined ? { refusal: REFUSED } : { connectorId };
}

function create(transaction: Transaction, token: Row, claim: EnrolmentClaim): void {
  transaction.run(
    "UPDATE enrolment_token SET used_at = ?, connector_id = ? WHERE secret_hash = ?",
    claim.now,
    claim.newConnectorId,
    claim.secretHash,
  );
  transaction.run(
    "INSERT INTO connector (id, service, display_name, public_key_x, created_at) VALUES (?, ?, ?, ?, ?)",
    claim.newConnectorId,
    claim.service,
    String(token["display_name"] ?? claim.displayName),
    claim.publicKeyX,
    claim.now,
  );
  recordConnectorEvent(
    transaction,
    claim.newConnectorId,
    claim.now,
    "connector.enrolled",
    claim.service,
  );
}

/** How a connector comes to be known. */
export const enrolmentOperations = { claimEnrolmentToken };
