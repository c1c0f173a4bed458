import type { Migration, Transaction } from "@isthmus/shared/store/transaction";

/**
 * Who serves beside whom on one ledger. A connector that works alone has these tables too, and nobody in them.
 */
export const replicaMigrations: readonly Migration[] = [
  {
    id: "replica-1",
    sql: `
      CREATE TABLE replica (
        name TEXT PRIMARY KEY,
        version TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL
      ) STRICT;
      -- Which keys of the RA a replica can use.
      CREATE TABLE replica_key (
        replica TEXT NOT NULL,
        key_id TEXT NOT NULL,
        PRIMARY KEY (replica, key_id)
      ) STRICT, WITHOUT ROWID;
      -- Work that one replica does for all, until a time or until it gives it back.
      CREATE TABLE lease (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        held_until INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
];

/** Own limits. One that was not seen for so long is forgotten; it comes back by being seen. */
const MEMORY_MS = 7 * 86_400_000;
const MAX_LISTED = 100;

export interface ReplicaRow {
  readonly name: string;
  readonly version: string;
  readonly startedAt: number;
  readonly seenAt: number;
}

/** A replica begins: it holds no key yet, whatever an earlier process of this name did. */
export function replicaStarted(
  tx: Transaction,
  { name, version, at }: { name: string; version: string; at: number },
): void {
  tx.run("DELETE FROM replica_key WHERE replica = ?", name);
  tx.run("DELETE FROM replica WHERE name = ?", name);
  noteSeen(tx, { name, version, at });
}

function noteSeen(
  tx: Transaction,
  { name, version, at }: { name: string; version: string; at: number },
): void {
  tx.run(
    `INSERT INTO replica (name, version, started_at, seen_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at`,
    name,
    version,
    at,
    at,
  );
}

/** Notes that a replica lives, and returns all that are remembered. */
export function replicaSeen(
  tx: Transaction,
  { name, version, at }: { name: string; version: string; at: number },
): ReplicaRow[] {
  noteSeen(tx, { name, version, at });
  tx.run("DELETE FROM replica WHERE seen_at < ?", at - MEMORY_MS);
  return tx.all("SELECT * FROM replica ORDER BY name LIMIT ?", MAX_LISTED).map((row) => ({
    name: row["name"] as string,
    version: row["version"] as string,
    startedAt: row["started_at"] as number,
    seenAt: row["seen_at"] as number,
  }));
}

/** A replica that stops in order is waited for by nobody. */
export function replicaStopped(tx: Transaction, { name }: { name: string }): void {
  tx.run("DELETE FROM replica_key WHERE replica = ?", name);
  tx.run("DELETE FROM replica WHERE name = ?", name);
  tx.run("UPDATE lease SET held_until = 0 WHERE holder = ?", name);
}

export function holdKey(tx: Transaction, of: { name: string; keyId: string }): void {
  tx.run(
    "INSERT INTO replica_key (replica, key_id) VALUES (?, ?) ON CONFLICT (replica, key_id) DO NOTHING",
    of.name,
    of.keyId,
  );
}

/** Whether every replica that was seen since `aliveSince` can use the key. */
export function isKeyHeldByAll(
  tx: Transaction,
  of: { keyId: string; aliveSince: number },
): boolean {
  const row = tx.get(
    `SELECT count(*) AS lacking FROM replica WHERE seen_at >= ?
       AND NOT EXISTS (SELECT 1 FROM replica_key WHERE replica_key.replica = replica.name AND key_id = ?)`,
    of.aliveSince,
    of.keyId,
  );
  return row?.["lacking"] === 0;
}

/** Takes or keeps a lease. Undefined while another holds it; the epoch is a new one with each new holder. */
export function takeLease(
  tx: Transaction,
  of: { name: string; holder: string; at: number; until: number },
): number | undefined {
  const held = tx.get("SELECT * FROM lease WHERE name = ?", of.name);
  const isMine = held?.["holder"] === of.holder;
  if (held !== undefined && !isMine && (held["held_until"] as number) > of.at) return undefined;
  const epoch = ((held?.["epoch"] as number | undefined) ?? 0) + (isMine ? 0 : 1);
  tx.run(
    `INSERT INTO lease (name, holder, epoch, held_until) VALUES (?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET
       holder = excluded.holder, epoch = excluded.epoch, held_until = excluded.held_until`,
    of.name,
    of.holder,
    epoch,
    of.until,
  );
  return epoch;
}
