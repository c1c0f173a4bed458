import type { Migration, Row, Transaction } from "@isthmus/shared/store/transaction";
import type { StoredRegistrationKey } from "../core/registration-keys.ts";

/** The RA's keys, wrapped; at most one waits to be published, which the index holds two replicas to. */
export const registrationKeyMigrations: readonly Migration[] = [
  {
    id: "registration-key-1",
    sql: `
      CREATE TABLE registration_key (
        id TEXT PRIMARY KEY,
        certificate BLOB NOT NULL,
        custody TEXT NOT NULL,
        material TEXT NOT NULL,
        made_at INTEGER NOT NULL,
        published_at INTEGER,
        accepted_until INTEGER,
        not_after INTEGER NOT NULL,
        is_waiting INTEGER
      ) STRICT;
      CREATE UNIQUE INDEX registration_key_waiting
        ON registration_key (is_waiting) WHERE is_waiting = 1;
    `,
  },
];

/** Own limit: a rollover a day would still not reach it within the time that keys are accepted. */
const MAX_KEYS = 64;

export function registrationKeys(tx: Transaction): StoredRegistrationKey[] {
  return tx
    .all("SELECT * FROM registration_key ORDER BY made_at, id LIMIT ?", MAX_KEYS)
    .map(registrationKey);
}

export function addRegistrationKey(
  tx: Transaction,
  key: StoredRegistrationKey,
): StoredRegistrationKey {
  const known = tx.get(
    "SELECT * FROM registration_key WHERE id = ? OR is_waiting = 1 LIMIT 1",
    key.id,
  );
  if (known !== undefined) return registrationKey(known);
  tx.run(
    `INSERT INTO registration_key (id, certificate, custody, material, made_at, published_at, accepted_until, not_after,
       is_waiting)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    key.id,
    key.certificate,
    key.custody,
    key.material,
    key.madeAt,
    key.publishedAt ?? null,
    key.acceptedUntil ?? null,
    key.notAfter,
    key.publishedAt === undefined ? 1 : null,
  );
  return key;
}

export function publishRegistrationKey(
  tx: Transaction,
  { id, at, acceptOthersUntil }: { id: string; at: number; acceptOthersUntil: number },
): void {
  const { changes } = tx.run(
    "UPDATE registration_key SET published_at = ?, is_waiting = NULL WHERE id = ? AND published_at IS NULL",
    at,
    id,
  );
  if (changes === 0) return;
  tx.run(
    `UPDATE registration_key SET accepted_until = CASE WHEN not_after < ? THEN not_after ELSE ? END
     WHERE id <> ? AND published_at IS NOT NULL AND accepted_until IS NULL`,
    acceptOthersUntil,
    acceptOthersUntil,
    id,
  );
}

export function removeExpiredRegistrationKeys(tx: Transaction, { at }: { at: number }): void {
  tx.run("DELETE FROM registration_key WHERE accepted_until < ?", at);
}

function registrationKey(row: Row): StoredRegistrationKey {
  return {
    id: row["id"] as string,
    certificate: row["certificate"] as Uint8Array,
    custody: row["custody"] as string,
    material: row["material"] as string,
    madeAt: row["made_at"] as number,
    publishedAt: (row["published_at"] as number | null) ?? undefined,
    acceptedUntil: (row["accepted_until"] as number | null) ?? undefined,
    notAfter: row["not_after"] as number,
  };
}
