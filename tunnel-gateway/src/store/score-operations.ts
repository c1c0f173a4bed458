import type { Migration, Operations, Transaction } from "@isthmus/shared/store/transaction";
import {
  type KnownPlace,
  MAX_KNOWN_ACCOUNTS,
  MAX_PLACES,
  type PlaceChanges,
} from "../core/vpn/known-places.ts";
import { type KeptScore, MAX_KEPT_SCORES, type ScoreChanges } from "../core/vpn/scores.ts";

/**
 * Failed logins that have brought a ban or are near one, and from where accounts have lately logged in. A gateway writes what has
 * changed now and then; what is no longer worth keeping it deletes by name, so that no clock decides about that here.
 */
export const scoreMigrations: readonly Migration[] = [
  {
    id: "tunnel-gateway-5-login-scores",
    sql: `
      CREATE TABLE login_score (
        kind TEXT NOT NULL,
        scored TEXT NOT NULL,
        points REAL NOT NULL,
        at INTEGER NOT NULL,
        banned_until INTEGER NOT NULL,
        ban_ms INTEGER NOT NULL,
        PRIMARY KEY (kind, scored)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE login_place (
        account TEXT NOT NULL,
        place TEXT NOT NULL,
        seen_at INTEGER NOT NULL,
        PRIMARY KEY (account, place)
      ) STRICT, WITHOUT ROWID;
    `,
  },
];

export const scoreOperations = {
  saveScores(
    transaction: Transaction,
    { scores, places }: { readonly scores: ScoreChanges; readonly places: PlaceChanges },
  ): void {
    for (const { kind, key } of scores.drop) {
      transaction.run("DELETE FROM login_score WHERE kind = ? AND scored = ?", kind, key);
    }
    for (const { kind, key, points, at, bannedUntil, banMs } of scores.put) {
      const sql = `INSERT OR REPLACE INTO login_score (kind, scored, points, at, banned_until, ban_ms) VALUES (?, ?, ?, ?, ?, ?)`;
      transaction.run(sql, kind, key, points, at, bannedUntil, banMs);
    }
    for (const { account, place } of places.drop) {
      transaction.run("DELETE FROM login_place WHERE account = ? AND place = ?", account, place);
    }
    for (const { account, place, seenAt } of places.put) {
      const sql = "INSERT OR REPLACE INTO login_place (account, place, seen_at) VALUES (?, ?, ?)";
      transaction.run(sql, account, place, seenAt);
    }
  },

  listScores(transaction: Transaction): KeptScore[] {
    const rows = transaction.all("SELECT * FROM login_score LIMIT ?", MAX_KEPT_SCORES);
    return rows.map((row) => ({
      kind: row["kind"] === "account" ? "account" : "address",
      key: String(row["scored"]),
      points: Number(row["points"]),
      at: Number(row["at"]),
      bannedUntil: Number(row["banned_until"]),
      banMs: Number(row["ban_ms"]),
    }));
  },

  listPlaces(transaction: Transaction): KnownPlace[] {
    const sql = "SELECT * FROM login_place ORDER BY seen_at DESC LIMIT ?";
    return transaction.all(sql, MAX_KNOWN_ACCOUNTS * MAX_PLACES).map((row) => ({
      account: String(row["account"]),
      place: String(row["place"]),
      seenAt: Number(row["seen_at"]),
    }));
  },
} satisfies Operations;
