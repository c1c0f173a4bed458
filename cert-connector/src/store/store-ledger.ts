import type { Clock } from "@isthmus/shared/clock";
import type { Store } from "@isthmus/shared/store/store";
import type { Row } from "@isthmus/shared/store/transaction";
import type { Ledger } from "../core/ledger.ts";
import type { CertificateStatus, RevocationLedger } from "../core/revocation-ledger.ts";
import { issuedCertificate, standingOf } from "./enrolment-row.ts";
import type { CertificateOperations } from "./operations.ts";

/** Own limit on the issuers that have used one number. */
const MAX_SAME_SERIAL = 100;

/** The ledger in the store: what changes it goes through the writer's queue, what only looks does not wait for it. */
export function storeLedger(
  store: Pick<Store<CertificateOperations>, "run" | "query">,
  clock: Clock,
): Ledger & RevocationLedger {
  return {
    standingOf: async ({ transactionId, requestHash, profileId }) => {
      const [row] = await store.query(
        `SELECT * FROM enrolment
         WHERE transaction_id = ? AND request_hash = ? AND profile_id = ? AND is_current = 1`,
        [transactionId, requestHash, profileId],
        1,
      );
      return row && standingOf(row, clock.now());
    },
    standingOfKey: async ({ profileId, transactionId, requesterKeyHash }) => {
      const [row] = await store.query(
        `SELECT * FROM enrolment WHERE transaction_id = ? AND profile_id = ? AND requester_key_hash = ? AND is_current = 1
         ORDER BY id DESC LIMIT 1`,
        [transactionId, profileId, requesterKeyHash],
        1,
      );
      return row && standingOf(row, clock.now());
    },
    recordIntent: (intent) => store.run("enrolmentIntent", intent),
    recordPending: (request) => store.run("enrolmentPending", request),
    recordIssued: (issued) => store.run("enrolmentIssued", issued),
    recordFailure: (failure) => store.run("enrolmentFailed", failure),
    findPending: (pendingId) => store.run("findPending", { pendingId }),
    rejectPending: (decision) => store.run("rejectPending", decision),
    beginAsking: (of) => store.run("beginAsking", of),
    endAsking: (of) => store.run("endAsking", of),
    recordRefused: (of) => store.run("enrolmentRefused", of),
    findCertificates: async (serialNumber) => {
      const rows = await store.query<Row>(
        "SELECT * FROM enrolment WHERE serial_number = ? AND state = 'issued'",
        [serialNumber],
        MAX_SAME_SERIAL,
      );
      return rows.map(issuedCertificate);
    },
    revoke: (revocation) => store.run("revokeCertificate", revocation),
    unfinishedIntents: (intendedBefore) => store.run("unfinishedIntents", { intendedBefore }),
    beginList: (of) => store.run("beginRevocationList", of),
    storeList: (list) => store.run("storeRevocationList", list),
    currentList: async (issuerKeyId, after = 0) => {
      const [row] = await store.query(
        "SELECT * FROM revocation_list WHERE issuer_key_id = ? AND number > ? AND der IS NOT NULL",
        [issuerKeyId, after],
        1,
      );
      return row && publishedList(row);
    },
    statusOf: async ({ issuerKeyId, serialNumber }) => {
      const [row] = await store.query(
        `SELECT revoked_at, revocation_reason FROM enrolment
         WHERE serial_number = ? AND issuer_key_id = ? AND state = 'issued'`,
        [serialNumber, issuerKeyId],
        1,
      );
      return certificateStatus(row);
    },
  };
}

function publishedList(row: Row) {
  return {
    issuerKeyId: row["issuer_key_id"] as string,
    number: row["number"] as number,
    thisUpdate: row["this_update"] as number,
    nextUpdate: row["next_update"] as number,
    der: row["der"] as Uint8Array,
  };
}

function certificateStatus(row: Row | undefined): CertificateStatus {
  if (row === undefined) return { kind: "unknown" };
  if (row["revoked_at"] === null) return { kind: "good" };
  return {
    kind: "revoked",
    revokedAt: row["revoked_at"] as number,
    reason: row["revocation_reason"] as Extract<CertificateStatus, { kind: "revoked" }>["reason"],
  };
}
