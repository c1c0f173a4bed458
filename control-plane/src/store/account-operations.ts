import { ConnectorError } from "@isthmus/shared/errors";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type {
  Act,
  AdministratorChange,
  NewAdministrator,
  NewSession,
  Session,
  StoredLogin,
} from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import type { Role } from "../core/roles.ts";
import { recordAct } from "./own-audit.ts";

/** Sessions that one administrator may have; a further one ends the oldest. */
export const MAX_SESSIONS = 20;

/** Throws `administrator-exists`. */
function createAdministrator(transaction: Transaction, account: NewAdministrator): void {
  const { id, userName, passwordHash, roles, now } = account;
  if (loginOf(transaction, { userName }) !== undefined) {
    throw new ConnectorError(
      "administrator-exists",
      `There is an administrator ${userName} already`,
    );
  }
  transaction.run(
    `INSERT INTO administrator (id, user_name, password_hash, roles, created_at, password_at)
     VALUES (?, ?, ?, ?, ?, ?)`,
    id,
    userName,
    passwordHash,
    JSON.stringify(roles),
    now,
    now,
  );
  recordAct(transaction, account, AUDIT_EVENTS.administratorCreated, { id, userName, roles });
}

/**
 * Changes an account. Throws `administrator-unknown`, and `last-administrator` where nobody would be left who can manage
 * accounts.
 */
function changeAdministrator(transaction: Transaction, change: AdministratorChange): void {
  const { id, roles, isDisabled, passwordHash, now } = change;
  const row = transaction.get("SELECT * FROM administrator WHERE id = ?", id);
  if (row === undefined) {
    throw new ConnectorError("administrator-unknown", `There is no administrator ${id}`);
  }
  const disabledAt = isDisabled === undefined ? row["disabled_at"] : isDisabled ? now : null;
  transaction.run(
    "UPDATE administrator SET roles = ?, disabled_at = ?, password_hash = ?, password_at = ? WHERE id = ?",
    roles === undefined ? String(row["roles"]) : JSON.stringify(roles),
    disabledAt ?? null,
    passwordHash ?? String(row["password_hash"]),
    passwordHash === undefined ? Number(row["password_at"]) : now,
    id,
  );
  if (passwordHash !== undefined || isDisabled === true) {
    transaction.run("DELETE FROM session WHERE administrator_id = ?", id);
  }
  const isAboutRights = roles !== undefined || isDisabled !== undefined;
  if (isAboutRights) checkSomebodyManages(transaction);
  const userName = String(row["user_name"]);
  if (passwordHash !== undefined) {
    recordAct(transaction, change, AUDIT_EVENTS.passwordReset, { id, userName });
  }
  if (isAboutRights) {
    const details = { id, userName, roles, isDisabled };
    recordAct(transaction, change, AUDIT_EVENTS.administratorChanged, details);
  }
}

function checkSomebodyManages(transaction: Transaction): void {
  const global: Role = "Global administrator";
  const manager = transaction.get(
    `SELECT 1 FROM administrator, json_each(roles) WHERE disabled_at IS NULL AND json_each.value = ? LIMIT 1`,
    global,
  );
  if (manager !== undefined) return;
  throw new ConnectorError("last-administrator", `One active ${global} has to remain`);
}

function countAdministrators(transaction: Transaction): number {
  return Number(transaction.get("SELECT count(*) AS n FROM administrator")?.["n"]);
}

function loginOf(
  transaction: Transaction,
  { userName }: { readonly userName: string },
): StoredLogin | undefined {
  const row = transaction.get("SELECT * FROM administrator WHERE user_name = ?", userName);
  return (
    row && {
      id: String(row["id"]),
      passwordHash: String(row["password_hash"]),
      isDisabled: row["disabled_at"] !== null,
    }
  );
}

/** Opens a session, ends those that time or `MAX_SESSIONS` has ended. Throws `administrator-unknown`. */
function openSession(transaction: Transaction, session: NewSession): Session {
  const { administratorId, tokenHash, now, expiresAt, address } = session;
  const row = transaction.get(
    "SELECT * FROM administrator WHERE id = ? AND disabled_at IS NULL",
    administratorId,
  );
  if (row === undefined) {
    throw new ConnectorError("administrator-unknown", "The account is disabled");
  }
  transaction.run("DELETE FROM session WHERE expires_at <= ?", now);
  transaction.run(
    `DELETE FROM session WHERE token_hash IN (SELECT token_hash FROM session WHERE administrator_id = ?
       ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?)`,
    administratorId,
    MAX_SESSIONS - 1,
  );
  transaction.run(
    "INSERT INTO session (token_hash, administrator_id, created_at, expires_at) VALUES (?, ?, ?, ?)",
    tokenHash,
    administratorId,
    now,
    expiresAt,
  );
  transaction.run(
    "UPDATE administrator SET last_sign_in_at = ? WHERE id = ?",
    now,
    administratorId,
  );
  const opened = sessionOf(row, expiresAt);
  recordAct(transaction, { actor: opened.userName, now }, AUDIT_EVENTS.signedIn, { address });
  return opened;
}

function sessionOf(row: Row, expiresAt: number): Session {
  return {
    administratorId: String(row["id"]),
    userName: String(row["user_name"]),
    roles: JSON.parse(String(row["roles"])) as Role[],
    expiresAt,
  };
}

/** Keeps that somebody failed to log in. The name is what was typed, which may be a password: it is not kept. */
function refuseSession(
  transaction: Transaction,
  {
    userName,
    address,
    reason,
    now,
  }: { userName: string; address: string; reason: string; now: number },
): void {
  const known = transaction.get(
    "SELECT user_name FROM administrator WHERE user_name = ?",
    userName,
  );
  const actor = String(known?.["user_name"] ?? "unknown");
  recordAct(transaction, { actor, now }, AUDIT_EVENTS.signInFailed, { address, reason });
}

function closeSession(
  transaction: Transaction,
  { tokenHash, ...act }: Act & { readonly tokenHash: string },
): void {
  const { changes } = transaction.run("DELETE FROM session WHERE token_hash = ?", tokenHash);
  if (changes > 0) recordAct(transaction, act, AUDIT_EVENTS.signedOut, {});
}

/** Administrators and their sessions. */
export const accountOperations = {
  createAdministrator,
  changeAdministrator,
  countAdministrators,
  loginOf,
  openSession,
  refuseSession,
  closeSession,
};
