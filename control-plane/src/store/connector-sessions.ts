import { ConnectorError } from "@isthmus/shared/errors";
import type { Service } from "@isthmus/shared/link/messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type {
  Admission,
  AdmissionOutcome,
  ConnectorClaim,
  ConnectorIdentity,
  Quarantine,
  Refusal,
  SessionKey,
  Sighting,
} from "../core/link-records.ts";

/** Boot ids remembered per connector: a process that comes back after this many others is not told from a new one. */
const MAX_BOOTS = 100;

/**
 * How far a connector may be ahead of what is known here, after this side was restored from a backup. More would use up the
 * numbers that there are, and with them the signing of everybody's commands.
 */
const MAX_AHEAD = 2 ** 32;

const IMPLAUSIBLE: Refusal = {
  code: "hello-implausible",
  message: "the epoch or command seq is further ahead than any backup explains",
  isFinal: true,
};
const CLONED: Refusal = {
  code: "identity-cloned",
  message:
    "two running processes use this connector's identity; it is in quarantine until an administrator releases it",
  isFinal: true,
};

/** The key that a connector has to sign with, and whether it may connect at all; undefined for an unknown one. */
function connectorIdentity(
  transaction: Transaction,
  { connectorId }: { readonly connectorId: string },
): ConnectorIdentity | undefined {
  const row = transaction.get("SELECT * FROM connector WHERE id = ?", connectorId);
  if (row === undefined) return undefined;
  return {
    publicKeyX: String(row["public_key_x"]),
    service: String(row["service"]) as Service,
    refusal: refusalOf(row),
  };
}

function refusalOf(row: Row): Refusal | undefined {
  if (row["quarantined_at"] !== null) return CLONED;
  if (row["disabled_at"] === null) return undefined;
  return { code: "identity-disabled", message: "this connector is disabled", isFinal: true };
}

/**
 * Opens a session: raises `session_no`, so that nothing of an older session is written any more, and finds out whether the
 * connector's state went back. A boot id that another had followed is a second live process of one identity.
 */
function acceptConnector(transaction: Transaction, claim: ConnectorClaim): AdmissionOutcome {
  const row = transaction.get("SELECT * FROM connector WHERE id = ?", claim.connectorId);
  if (row === undefined) {
    return { refusal: { code: "identity-unknown", message: "unknown connector", isFinal: true } };
  }
  const refusal = refusalOf(row);
  if (refusal !== undefined) return { refusal };
  if (isImplausible(row, claim)) {
    const detail = `epoch ${claim.epoch}, command seq ${claim.commandSeq}`;
    recordConnectorEvent(transaction, claim.connectorId, claim.now, "hello.implausible", detail);
    return { refusal: IMPLAUSIBLE };
  }
  if (row["boot_id"] !== claim.bootId && isKnownBoot(transaction, claim)) {
    quarantineConnector(transaction, {
      connectorId: claim.connectorId,
      reason: `boot ${claim.bootId} came back after boot ${String(row["boot_id"])} had followed it`,
      now: claim.now,
    });
    return { refusal: CLONED };
  }
  return { admission: admit(transaction, row, claim) };
}

function isImplausible(row: Row, claim: ConnectorClaim): boolean {
  return (
    claim.epoch > Number(row["epoch"]) + MAX_AHEAD ||
    claim.commandSeq > Number(row["command_seq"]) + MAX_AHEAD
  );
}

function isKnownBoot(transaction: Transaction, claim: ConnectorClaim): boolean {
  const sql = "SELECT 1 FROM connector_boot WHERE connector_id = ? AND boot_id = ?";
  return transaction.get(sql, claim.connectorId, claim.bootId) !== undefined;
}

function admit(transaction: Transaction, row: Row, claim: ConnectorClaim): Admission {
  const lastAppliedSeq = cursorsOf(transaction, claim.connectorId);
  const isFirst = row["boot_id"] === null;
  const isRestored = !isFirst && isBehind(row, claim, lastAppliedSeq);
  const storedEpoch = Number(row["epoch"]);
  const epoch = Math.max(storedEpoch, claim.epoch) + (isRestored ? 1 : 0);
  const sessionNo = Number(row["session_no"]) + 1;
  if (epoch !== storedEpoch) enterEpoch(transaction, claim, epoch, isRestored);
  transaction.run(
    `UPDATE connector SET boot_id = ?, epoch = ?, session_no = ?, connected_at = ?, last_seen_at = ?, clock_offset_ms = ?,
       command_seq = max(command_seq, ?), command_seq_seen = ?, configuration_version_applied = ?
     WHERE id = ?`,
    claim.bootId,
    epoch,
    sessionNo,
    claim.now,
    claim.now,
    Math.round(claim.clockOffsetMs),
    claim.commandSeq,
    // A restored connector is told to hold everything sent so far for seen.
    isRestored ? Number(row["command_seq_sent"]) : claim.commandSeq,
    claim.configurationVersion,
    claim.connectorId,
  );
  rememberBoot(transaction, claim, sessionNo);
  return {
    sessionNo,
    epoch,
    lastAppliedSeq,
    commandSeq: Math.max(Number(row["command_seq_sent"]), claim.commandSeq),
    configurationVersion: desiredVersion(transaction, claim.connectorId),
    isFirst,
    isRestored,
  };
}

/** A connector behind what was seen of it runs on state from a backup. */
function isBehind(
  row: Row,
  claim: ConnectorClaim,
  lastAppliedSeq: Readonly<Record<string, number>>,
): boolean {
  return (
    claim.epoch < Number(row["epoch"]) ||
    claim.commandSeq < Number(row["command_seq_seen"]) ||
    Object.entries(lastAppliedSeq).some(([stream, seq]) => (claim.lastSeq[stream] ?? 0) < seq)
  );
}

/** What was on its way may have run and been forgotten: nobody knows, and nobody may pretend to. */
function enterEpoch(
  transaction: Transaction,
  claim: ConnectorClaim,
  epoch: number,
  isRestored: boolean,
): void {
  const { changes } = transaction.run(
    `UPDATE command SET state = 'unknown', state_at = ?
     WHERE connector_id = ? AND state IN ('sent', 'accepted', 'running')`,
    claim.now,
    claim.connectorId,
  );
  const cause = isRestored ? "its state is behind what was seen of it" : "it says so";
  const detail = `epoch ${epoch}: ${cause}; ${changes} commands in flight are unknown now`;
  recordConnectorEvent(transaction, claim.connectorId, claim.now, "connector.restored", detail);
}

function cursorsOf(transaction: Transaction, connectorId: string): Record<string, number> {
  const rows = transaction.all(
    "SELECT stream, seq FROM stream_cursor WHERE connector_id = ? LIMIT 100",
    connectorId,
  );
  return Object.fromEntries(rows.map((row) => [String(row["stream"]), Number(row["seq"])]));
}

function desiredVersion(transaction: Transaction, connectorId: string): number {
  const row = transaction.get(
    "SELECT max(version) AS version FROM desired_configuration WHERE connector_id = ?",
    connectorId,
  );
  return Number(row?.["version"] ?? 0);
}

function rememberBoot(transaction: Transaction, claim: ConnectorClaim, sessionNo: number): void {
  transaction.run(
    `INSERT INTO connector_boot (connector_id, boot_id, last_session_no) VALUES (?, ?, ?)
     ON CONFLICT (connector_id, boot_id) DO UPDATE SET last_session_no = excluded.last_session_no`,
    claim.connectorId,
    claim.bootId,
    sessionNo,
  );
  transaction.run(
    `DELETE FROM connector_boot WHERE connector_id = ? AND boot_id NOT IN
       (SELECT boot_id FROM connector_boot WHERE connector_id = ? ORDER BY last_session_no DESC LIMIT ?)`,
    claim.connectorId,
    claim.connectorId,
    MAX_BOOTS,
  );
}

/** Throws `session-stale` unless `key` names the present session. Every write for a connector begins with it. */
export function checkSession(transaction: Transaction, key: SessionKey): Row {
  const row = transaction.get(
    "SELECT * FROM connector WHERE id = ? AND session_no = ?",
    key.connectorId,
    key.sessionNo,
  );
  if (row !== undefined) return row;
  throw new ConnectorError(
    "session-stale",
    `session ${key.sessionNo} of connector ${key.connectorId} is not the present one`,
  );
}

/** Keeps what a person should know of a connector that it did not say itself. For use inside other operations. */
export function recordConnectorEvent(
  transaction: Transaction,
  connectorId: string,
  at: number,
  event: string,
  detail: string,
): void {
  transaction.run(
    "INSERT INTO connector_event (connector_id, at, event, detail) VALUES (?, ?, ?, ?)",
    connectorId,
    at,
    event,
    detail,
  );
}

function quarantineConnector(transaction: Transaction, { connectorId, reason, now }: Quarantine) {
  transaction.run(
    `UPDATE connector SET quarantined_at = ?, quarantine_reason = ?, connected_at = NULL, session_no = session_no + 1
     WHERE id = ? AND quarantined_at IS NULL`,
    now,
    reason,
    connectorId,
  );
  recordConnectorEvent(transaction, connectorId, now, "connector.quarantined", reason);
}

/** Lets a quarantined connector back in. Which of the two processes it is, is for the administrator to have settled. */
function releaseConnector(
  transaction: Transaction,
  { connectorId, now, actor }: { connectorId: string; now: number; actor: string },
): void {
  transaction.run(
    "UPDATE connector SET quarantined_at = NULL, quarantine_reason = NULL WHERE id = ?",
    connectorId,
  );
  transaction.run("DELETE FROM connector_boot WHERE connector_id = ?", connectorId);
  recordConnectorEvent(transaction, connectorId, now, "connector.released", `by ${actor}`);
}

/** Notes the end of a session, unless a newer one has begun. */
function endSession(transaction: Transaction, session: Sighting): void {
  transaction.run(
    "UPDATE connector SET connected_at = NULL, last_seen_at = ? WHERE id = ? AND session_no = ?",
    session.at,
    session.connectorId,
    session.sessionNo,
  );
}

/** After a start nobody is connected, whatever the last process left behind. */
function endAllSessions(transaction: Transaction): void {
  transaction.run("UPDATE connector SET connected_at = NULL WHERE connected_at IS NOT NULL");
}

/** When connectors were last heard of, many at once. */
function noteSightings(
  transaction: Transaction,
  { sightings }: { readonly sightings: readonly Sighting[] },
): void {
  for (const { at, connectorId, sessionNo } of sightings) {
    transaction.run(
      "UPDATE connector SET last_seen_at = ? WHERE id = ? AND session_no = ?",
      at,
      connectorId,
      sessionNo,
    );
  }
}

/** Who may connect, who is connected, and who is suspect. */
export const sessionOperations = {
  connectorIdentity,
  acceptConnector,
  quarantineConnector,
  releaseConnector,
  endSession,
  endAllSessions,
  noteSightings,
};
