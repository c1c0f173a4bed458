import type { Migration, Row, Transaction } from "@isthmus/shared/store/transaction";
import type { Grant } from "../core/grant.ts";
import type { ClaimedPublication, PlannedPublication } from "../core/publication.ts";

/**
 * Certificates that a directory is to have, one row for each, until it has taken them off again:
 *
 *     intent --issued--> add --> published --revoked--> remove --> (gone)
 *
 * Each step is written in the transaction of what it follows from.
 */
export const publicationMigrations: readonly Migration[] = [
  {
    id: "directory-publication-1",
    sql: `
      CREATE TABLE directory_publication (
        enrolment_id INTEGER NOT NULL REFERENCES enrolment (id),
        directory TEXT NOT NULL,
        look_up TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('intent', 'add', 'published', 'remove', 'failed')),
        entry_dn TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_at INTEGER,
        last_message TEXT,
        PRIMARY KEY (enrolment_id)
      ) STRICT;
      CREATE INDEX directory_publication_due
        ON directory_publication (next_at) WHERE next_at IS NOT NULL;
    `,
  },
];

export function planPublication(
  tx: Transaction,
  enrolmentId: number,
  { directory, lookUp }: PlannedPublication,
): void {
  tx.run(
    `INSERT INTO directory_publication (enrolment_id, directory, look_up, state) VALUES (?, ?, ?, 'intent')
     ON CONFLICT (enrolment_id) DO NOTHING`,
    enrolmentId,
    directory,
    lookUp,
  );
}

export function publishIssued(tx: Transaction, enrolmentId: number, at: number): void {
  tx.run(
    "UPDATE directory_publication SET state = 'add', next_at = ? WHERE enrolment_id = ? AND state = 'intent'",
    at,
    enrolmentId,
  );
}

/** Also of one that is not there yet: the attempt that is under way may have put it there. */
export function unpublishRevoked(tx: Transaction, enrolmentId: number, at: number): void {
  tx.run(
    `UPDATE directory_publication SET state = 'remove', next_at = ?, attempts = 0
     WHERE enrolment_id = ? AND state <> 'intent'`,
    at,
    enrolmentId,
  );
}

/** Takes what is due for itself until `until`. */
export function claimPublications(
  tx: Transaction,
  of: { at: number; until: number; limit: number },
): ClaimedPublication[] {
  const rows = tx.all(
    `SELECT p.*, e.grant_json, e.certificate, e.serial_number FROM directory_publication p
     JOIN enrolment e ON e.id = p.enrolment_id
     WHERE p.next_at IS NOT NULL AND p.next_at <= ? ORDER BY p.next_at LIMIT ?`,
    of.at,
    of.limit,
  );
  for (const row of rows) {
    tx.run(
      "UPDATE directory_publication SET next_at = ?, attempts = attempts + 1 WHERE enrolment_id = ?",
      of.until,
      row["enrolment_id"] as number,
    );
  }
  return rows.map(claimed);
}

function claimed(row: Row): ClaimedPublication {
  return {
    enrolmentId: row["enrolment_id"] as number,
    directory: row["directory"] as string,
    lookUp: row["look_up"] as ClaimedPublication["lookUp"],
    act: row["state"] === "remove" ? "remove" : "add",
    entryDn: (row["entry_dn"] as string | null) ?? undefined,
    attempts: row["attempts"] as number,
    serialNumber: row["serial_number"] as string,
    grant: JSON.parse(row["grant_json"] as string) as Grant,
    certificate: row["certificate"] as Uint8Array,
  };
}

/** Where it was revoked meanwhile it stays to be removed; one that is removed is forgotten. */
export function publicationDone(
  tx: Transaction,
  of: { enrolmentId: number; act: "add" | "remove"; entryDn: string | undefined },
): void {
  if (of.act === "remove") {
    tx.run(
      "DELETE FROM directory_publication WHERE enrolment_id = ? AND state = 'remove'",
      of.enrolmentId,
    );
    return;
  }
  tx.run(
    "UPDATE directory_publication SET entry_dn = ? WHERE enrolment_id = ?",
    of.entryDn ?? null,
    of.enrolmentId,
  );
  tx.run(
    `UPDATE directory_publication SET state = 'published', next_at = NULL, attempts = 0, last_message = NULL
     WHERE enrolment_id = ? AND state = 'add'`,
    of.enrolmentId,
  );
}

/** Without `nextAt` it is given up. */
export function publicationDeferred(
  tx: Transaction,
  of: { enrolmentId: number; nextAt: number | undefined; message: string },
): void {
  tx.run(
    "UPDATE directory_publication SET next_at = ?, last_message = ? WHERE enrolment_id = ?",
    of.nextAt ?? null,
    of.message,
    of.enrolmentId,
  );
  if (of.nextAt !== undefined) return;
  tx.run(
    "UPDATE directory_publication SET state = 'failed' WHERE enrolment_id = ?",
    of.enrolmentId,
  );
}
