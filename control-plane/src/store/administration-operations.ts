import { ConnectorError } from "@isthmus/shared/errors";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type {
  Act,
  CommandRequest,
  ConnectorChange,
  NewEnrolmentToken,
} from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import type { CancellationOutcome } from "../core/connector-records.ts";
import { commandOperations, insertCommand } from "./command-operations.ts";
import { serviceOf } from "./connector-service.ts";
import { sessionOperations } from "./connector-sessions.ts";
import { recordAct } from "./own-audit.ts";

/** How long what is over stays to be looked at. */
const KEPT_COMMANDS_MS = 90 * 86_400_000;
const KEPT_CHALLENGES_MS = 90 * 86_400_000;
const KEPT_TOKENS_MS = 30 * 86_400_000;
const KEPT_EVENTS_MS = 365 * 86_400_000;
/** Any stranger who reaches a SCEP port causes failures, and each comes up here. */
const KEPT_FAILURES_MS = 30 * 86_400_000;
const KEPT_DEAD_LETTERS_MS = 90 * 86_400_000;
/** One for every five minutes: some 2,000 for each tunnel server. */
const KEPT_SAMPLES_MS = 7 * 86_400_000;
const SKIPPED_SEQS = 100;
const PRUNED_AT_ONCE = 1_000;

function createEnrolmentToken(transaction: Transaction, token: NewEnrolmentToken): void {
  const { secretHash, service, displayName, now, expiresAt } = token;
  transaction.run(
    `INSERT INTO enrolment_token (secret_hash, service, display_name, created_at, expires_at)
     VALUES (?, ?, ?, ?, ?)`,
    secretHash,
    service,
    displayName ?? null,
    now,
    expiresAt,
  );
  const details = { id: secretHash, service, displayName, expiresAt };
  recordAct(transaction, token, AUDIT_EVENTS.tokenCreated, details);
}

/** Throws `enrolment-token-unknown` for one that is not there or was used. */
function deleteEnrolmentToken(
  transaction: Transaction,
  { secretHash, ...act }: Act & { readonly secretHash: string },
): void {
  const { changes } = transaction.run(
    "DELETE FROM enrolment_token WHERE secret_hash = ? AND used_at IS NULL",
    secretHash,
  );
  if (changes === 0) {
    throw new ConnectorError("enrolment-token-unknown", "There is no such unused enrolment token");
  }
  recordAct(transaction, act, AUDIT_EVENTS.tokenDeleted, { id: secretHash });
}

/** Renames, disables or enables a connector; disabling ends its session. Throws `connector-unknown`. */
function changeConnector(transaction: Transaction, change: ConnectorChange): void {
  const { id, displayName, isDisabled, now } = change;
  serviceOf(transaction, id);
  if (displayName !== undefined) {
    transaction.run("UPDATE connector SET display_name = ? WHERE id = ?", displayName, id);
  }
  if (isDisabled === true) {
    transaction.run(
      `UPDATE connector SET disabled_at = ?, connected_at = NULL, session_no = session_no + 1
       WHERE id = ? AND disabled_at IS NULL`,
      now,
      id,
    );
  } else if (isDisabled === false) {
    transaction.run("UPDATE connector SET disabled_at = NULL WHERE id = ?", id);
  }
  const details = { id, displayName, isDisabled };
  recordAct(transaction, change, AUDIT_EVENTS.connectorChanged, details);
}

/** Lets a connector out of quarantine. Throws `connector-unknown`. */
function liftQuarantine(
  transaction: Transaction,
  { id, ...act }: Act & { readonly id: string },
): void {
  serviceOf(transaction, id);
  sessionOperations.releaseConnector(transaction, { connectorId: id, ...act });
  recordAct(transaction, act, AUDIT_EVENTS.connectorReleased, { id });
}

/**
 * Gives the unsigned commands of a connector later seqs, where others were signed with these before a restored backup. All of
 * them, so that they keep their order, and some way up, since more of what follows was surely signed too.
 */
function renumberCommands(
  transaction: Transaction,
  { connectorId }: { readonly connectorId: string },
): void {
  transaction.run(
    "UPDATE command SET seq = NULL WHERE connector_id = ? AND jws IS NULL AND state = 'queued'",
    connectorId,
  );
  transaction.run(
    "UPDATE connector SET command_seq = command_seq + ? WHERE id = ?",
    SKIPPED_SEQS,
    connectorId,
  );
}

/** Ends a command that the signer refuses. It leaves no hole to wait for: its seq belongs to nothing any more. */
function refuseUnsignedCommand(
  transaction: Transaction,
  { id, error, now }: { readonly id: string; readonly error: unknown; readonly now: number },
): void {
  transaction.run(
    "UPDATE command SET state = 'refused', state_at = ?, error = ?, seq = NULL WHERE id = ? AND jws IS NULL",
    now,
    JSON.stringify(error),
    id,
  );
}

/** Queues a command that somebody asked for by itself. Throws `connector-unknown`. */
function requestCommand(transaction: Transaction, request: CommandRequest): void {
  const { id, connectorId, kind, now } = request;
  insertCommand(transaction, { ...request, notBefore: now });
  recordAct(transaction, request, AUDIT_EVENTS.commandCreated, { id, connectorId, kind });
}

function requestCancellation(
  transaction: Transaction,
  cancellation: Act & { readonly id: string; readonly cancelId: string },
): CancellationOutcome {
  const outcome = commandOperations.cancelCommand(transaction, cancellation);
  if (outcome === "withdrawn" || outcome === "requested") {
    const details = { id: cancellation.id, outcome };
    recordAct(transaction, cancellation, AUDIT_EVENTS.commandCancelled, details);
  }
  return outcome;
}

/** Keeps a statement about a new tenant key for the connectors; a key that is announced already keeps its statement. */
function recordTrust(
  transaction: Transaction,
  { jws, thumbprint, ...act }: Act & { readonly jws: string; readonly thumbprint: string },
): void {
  const { changes } = transaction.run(
    "INSERT INTO trust_statement (jws, thumbprint, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    jws,
    thumbprint,
    act.now,
  );
  if (changes > 0) recordAct(transaction, act, AUDIT_EVENTS.tenantKeyRotated, { thumbprint });
}

/** The statements after `afterId` that a connector may lack: it enrolled before they were made. */
function trustStatements(
  transaction: Transaction,
  { connectorId, afterId }: { readonly connectorId: string; readonly afterId: number },
): { readonly id: number; readonly jws: string }[] {
  const rows = transaction.all(
    `SELECT t.id, t.jws FROM trust_statement t JOIN connector c ON c.id = ? AND t.created_at >= c.created_at
     WHERE t.id > ? ORDER BY t.id LIMIT 100`,
    connectorId,
    afterId,
  );
  return rows.map((row) => ({ id: Number(row["id"]), jws: String(row["jws"]) }));
}

/** Throws rows away that are long over, some at a time so that no commit waits for them. */
function pruneOldRecords(transaction: Transaction, { now }: { readonly now: number }): void {
  const prune = (table: string, over: string, before: number) =>
    transaction.run(
      `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE ${over} < ? LIMIT ${PRUNED_AT_ONCE})`,
      before,
    );
  prune("command", "expires_at", now - KEPT_COMMANDS_MS);
  prune("scep_challenge", "expires_at", now - KEPT_CHALLENGES_MS);
  prune("enrolment_token", "expires_at", now - KEPT_TOKENS_MS);
  prune("connector_event", "at", now - KEPT_EVENTS_MS);
  prune("issuance_failure", "at", now - KEPT_FAILURES_MS);
  prune("dead_letter", "at", now - KEPT_DEAD_LETTERS_MS);
  prune("session", "expires_at", now);
  prune("tunnel_health_sample", "at", now - KEPT_SAMPLES_MS);
}

/** What administrators do to connectors and their commands. */
export const administrationOperations = {
  createEnrolmentToken,
  deleteEnrolmentToken,
  changeConnector,
  liftQuarantine,
  renumberCommands,
  refuseUnsignedCommand,
  requestCommand,
  requestCancellation,
  recordTrust,
  trustStatements,
  pruneOldRecords,
};
