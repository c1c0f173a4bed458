import { recordAudit } from "@isthmus/shared/kernel/audit-operations";
import type { Migration, Operations, Transaction } from "@isthmus/shared/store/transaction";
import type { EndedRelaySession, RelaySession } from "../core/relay-sessions.ts";

/** Devices whose use of the relay has begun and not ended, so that a start after a SIGKILL can say that it has. */
export const relaySessionMigrations: readonly Migration[] = [
  {
    id: "tunnel-gateway-6-relay-sessions",
    sql: `
      CREATE TABLE relay_session (
        device_id TEXT PRIMARY KEY,
        began_at INTEGER NOT NULL
      ) STRICT;
    `,
  },
];

export const relaySessionOperations = {
  beginRelaySession(transaction: Transaction, session: RelaySession): void {
    const { deviceId, userPrincipalName, beganAt: at } = session;
    const sql = "INSERT OR REPLACE INTO relay_session (device_id, began_at) VALUES (?, ?)";
    transaction.run(sql, deviceId, at);
    const payload = { deviceId, userPrincipalName };
    recordAudit(transaction, { at, event: "relay.session-opened", payload });
  },

  /** `at` is when this is known, some time after it ended. */
  endRelaySession(
    transaction: Transaction,
    session: EndedRelaySession & { readonly at: number },
  ): void {
    const { deviceId, endedAt, connections, bytesUp, bytesDown, at } = session;
    const beganAt = takeSession(transaction, deviceId);
    if (beganAt === undefined) return;
    const payload = { deviceId, beganAt, endedAt, connections, bytesUp, bytesDown };
    recordAudit(transaction, { at, event: "relay.session-ended", payload });
  },

  /** Ends at most `limit` that a former process has left, and says how many; how much they carried is not known. */
  endLeftRelaySessions(
    transaction: Transaction,
    { at, limit }: { readonly at: number; readonly limit: number },
  ): number {
    const rows = transaction.all("SELECT device_id FROM relay_session LIMIT ?", limit);
    for (const row of rows) {
      const deviceId = String(row["device_id"]);
      const beganAt = takeSession(transaction, deviceId);
      const payload = { deviceId, beganAt, end: "gateway-restarted" };
      recordAudit(transaction, { at, event: "relay.session-ended", payload });
    }
    return rows.length;
  },
} satisfies Operations;

function takeSession(transaction: Transaction, deviceId: string): number | undefined {
  const sql = "DELETE FROM relay_session WHERE device_id = ? RETURNING began_at";
  const beganAt = transaction.get(sql, deviceId)?.["began_at"];
  return beganAt === undefined ? undefined : Number(beganAt);
}
