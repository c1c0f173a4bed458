import { DatabaseSync } from "node:sqlite";

/** How much a ledger holds before the clock starts. */
export interface LedgerFilling {
  /** Issued certificates. */
  readonly entries: number;
  /** So many of them are revoked. */
  readonly revoked: number;
}

const ROWS_AT_ONCE = 20_000;
const PAGES_IN_MEMORY_KB = 1_000_000;
/** What has to differ from row to row; all other columns are as the connector wrote them for the enrolment that is there. */
const OWN_VALUES: Readonly<Record<string, string>> = {
  id: "$base + value",
  transaction_id: "lower(hex(randomblob(16)))",
  request_hash: "randomblob(32)",
  serial_number: "'40' || lower(hex(randomblob(19)))",
  device_id: "'device-' || ($base + value)",
  thumbprint: "lower(hex(randomblob(32)))",
};
const REVOCATION: Readonly<Record<string, string>> = {
  revoked_at: "CASE WHEN $base + value <= $revoked THEN issued_at ELSE NULL END",
  revocation_reason: "CASE WHEN $base + value <= $revoked THEN 'superseded' ELSE NULL END",
};

/**
 * Copies the one enrolment in a stopped connector's store until there are so many, each with names and numbers of its own.
 * Returns serial numbers of some that are not revoked.
 */
export function fillLedger(storeFile: string, { entries, revoked }: LedgerFilling): string[] {
  const database = new DatabaseSync(storeFile);
  try {
    database.exec(`PRAGMA synchronous = OFF; PRAGMA cache_size = -${PAGES_IN_MEMORY_KB}`);
    const columns = database
      .prepare("SELECT name FROM pragma_table_info('enrolment')")
      .all()
      .map(({ name }) => String(name));
    const values = columns.map((name) => OWN_VALUES[name] ?? REVOCATION[name] ?? name);
    const first = database
      .prepare("SELECT max(id) AS id FROM enrolment WHERE state = 'issued'")
      .get();
    const insert = database.prepare(
      `WITH RECURSIVE counter (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM counter WHERE value < $rows)
       INSERT INTO enrolment (${columns.join(", ")})
       SELECT ${values.join(", ")} FROM enrolment, counter WHERE id = $template`,
    );
    const template = Number(first?.["id"]);
    for (let base = template; base - template < entries; base += ROWS_AT_ONCE) {
      const rows = Math.min(ROWS_AT_ONCE, entries - (base - template));
      insert.run({ $rows: rows, $base: base, $revoked: revoked + template, $template: template });
    }
    const known =
      "SELECT serial_number FROM enrolment WHERE revoked_at IS NULL ORDER BY id LIMIT 1000";
    return database
      .prepare(known)
      .all()
      .map((row) => String(row["serial_number"]));
  } finally {
    database.close();
  }
}
