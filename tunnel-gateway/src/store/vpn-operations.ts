import { recordAudit } from "@isthmus/shared/kernel/audit-operations";
import type { Migration, Operations, Row, Transaction } from "@isthmus/shared/store/transaction";
import type {
  AddedSession,
  AddressHabit,
  EndedSession,
  PlacedSession,
  SeenSession,
  SessionRecord,
} from "../core/vpn/vpn-ports.ts";

/**
 * The VPN's sessions, so that clients come back to them after a restart, and the address that each device had last. Of a cookie
 * there is the hash alone. `client` is JSON of what the client said of itself, `certificate` of what was read of its certificate.
 */
export const vpnMigrations: readonly Migration[] = [
  {
    id: "tunnel-gateway-3-vpn-sessions",
    sql: `
      CREATE TABLE vpn_session (
        session_id TEXT PRIMARY KEY,
        token_hash TEXT NOT NULL UNIQUE,
        user_name TEXT NOT NULL,
        user_groups TEXT NOT NULL,
        group_name TEXT NOT NULL,
        device_id TEXT,
        certificate TEXT,
        client TEXT NOT NULL,
        remote_address TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        last_seen_at INTEGER NOT NULL,
        tunnel INTEGER,
        slot INTEGER
      ) STRICT;
      CREATE TABLE vpn_address (
        tunnel INTEGER NOT NULL,
        slot INTEGER NOT NULL,
        habit TEXT NOT NULL UNIQUE,
        used_at INTEGER NOT NULL,
        PRIMARY KEY (tunnel, slot)
      ) STRICT;
    `,
  },
];

export const vpnOperations = {
  addVpnSession(transaction: Transaction, { record: session, habit }: AddedSession): void {
    const { id, userName, group, deviceId, createdAt, remoteAddress, place } = session;
    transaction.run(
      `INSERT INTO vpn_session (session_id, token_hash, user_name, user_groups, group_name, device_id, certificate, client,
         remote_address, created_at, expires_at, last_seen_at, tunnel, slot)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      id,
      session.tokenHash,
      userName,
      JSON.stringify(session.userGroups),
      group,
      deviceId ?? null,
      session.certificate ? JSON.stringify(session.certificate) : null,
      JSON.stringify(session.client),
      remoteAddress,
      createdAt,
      session.expiresAt ?? null,
      session.lastSeenAt,
      place?.tunnel ?? null,
      place?.slot ?? null,
    );
    if (place) putHabit(transaction, { place, habit, at: createdAt });
    const payload = { sessionId: id, userName, group, deviceId, remoteAddress };
    recordAudit(transaction, { at: createdAt, event: "vpn.session-opened", payload });
  },

  /** Gives a session its address; whoever had it before has no habit of it any more. */
  placeVpnSession(transaction: Transaction, placed: PlacedSession): void {
    const { id, place, habit, at } = placed;
    const { tunnel, slot } = place;
    transaction.run(
      "UPDATE vpn_session SET tunnel = ?, slot = ? WHERE session_id = ?",
      tunnel,
      slot,
      id,
    );
    putHabit(transaction, { place, habit, at });
  },

  seeVpnSessions(transaction: Transaction, seen: readonly SeenSession[]): void {
    for (const { id, remoteAddress, at } of seen) {
      transaction.run(
        "UPDATE vpn_session SET remote_address = ?, last_seen_at = ? WHERE session_id = ?",
        remoteAddress,
        at,
        id,
      );
    }
  },

  removeVpnSession(transaction: Transaction, ended: EndedSession): void {
    const { id, at, end, refusal } = ended;
    const session = transaction.get("SELECT device_id FROM vpn_session WHERE session_id = ?", id);
    if (session === undefined) return;
    transaction.run("DELETE FROM vpn_session WHERE session_id = ?", id);
    const why = refusal && { code: refusal.code, rule: refusal.rule };
    const payload = { sessionId: id, deviceId: session["device_id"] ?? undefined, end, ...why };
    recordAudit(transaction, { at, event: "vpn.session-ended", payload });
  },

  /** Sessions in the order of their ids, from the one after `after`. */
  listVpnSessions(
    transaction: Transaction,
    of: { readonly after: string; readonly limit: number },
  ): SessionRecord[] {
    const sql = "SELECT * FROM vpn_session WHERE session_id > ? ORDER BY session_id LIMIT ?";
    return transaction.all(sql, of.after, of.limit).map(toSession);
  },

  /** Addresses and who had them last, the one that has been unused for longest first. */
  listVpnAddresses(transaction: Transaction, limit: number): AddressHabit[] {
    const sql = "SELECT * FROM vpn_address ORDER BY used_at DESC LIMIT ?";
    return transaction
      .all(sql, limit)
      .map((row) => ({
        key: String(row["habit"]),
        place: { tunnel: Number(row["tunnel"]), slot: Number(row["slot"]) },
        usedAt: Number(row["used_at"]),
      }))
      .toReversed();
  },
} satisfies Operations;

function putHabit(transaction: Transaction, { place, habit, at }: Omit<PlacedSession, "id">): void {
  const { tunnel, slot } = place;
  const former = "DELETE FROM vpn_address WHERE habit = ? OR (tunnel = ? AND slot = ?)";
  transaction.run(former, habit, tunnel, slot);
  const latest = "INSERT INTO vpn_address (tunnel, slot, habit, used_at) VALUES (?, ?, ?, ?)";
  transaction.run(latest, tunnel, slot, habit, at);
}

function toSession(row: Row): SessionRecord {
  const { tunnel, slot, certificate } = row;
  const isPlaced = typeof tunnel === "number" && typeof slot === "number";
  return {
    id: String(row["session_id"]),
    tokenHash: String(row["token_hash"]),
    userName: String(row["user_name"]),
    userGroups: JSON.parse(String(row["user_groups"])),
    group: String(row["group_name"]),
    deviceId: typeof row["device_id"] === "string" ? row["device_id"] : undefined,
    certificate: typeof certificate === "string" ? JSON.parse(certificate) : undefined,
    client: JSON.parse(String(row["client"])),
    remoteAddress: String(row["remote_address"]),
    createdAt: Number(row["created_at"]),
    expiresAt: typeof row["expires_at"] === "number" ? row["expires_at"] : undefined,
    lastSeenAt: Number(row["last_seen_at"]),
    place: isPlaced ? { tunnel, slot } : undefined,
  };
}
