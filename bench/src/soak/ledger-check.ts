import { DatabaseSync } from "node:sqlite";

/** What the ledger of a connector that has stopped says about a soak. */
export interface LedgerFigures {
  readonly issued: number;
  /** Intents without a certificate: none may be left. */
  readonly unfinished: number;
  readonly repeatedSerials: number;
  /** Certificates that devices have and the ledger does not know. */
  readonly unknown: number;
}

/** `serialNumbers`: of every certificate that a device was given. */
export function checkLedger(file: string, serialNumbers: Iterable<string>): LedgerFigures {
  using database = new DatabaseSync(file, { readOnly: true });
  const count = (sql: string) => Number(database.prepare(sql).get()?.["n"]);
  const known = database.prepare(
    "SELECT 1 FROM enrolment WHERE serial_number = ? AND state = 'issued'",
  );
  let unknown = 0;
  for (const serialNumber of serialNumbers) {
    if (known.get(serialNumber) === undefined) unknown += 1;
  }
  return {
    issued: count("SELECT count(*) AS n FROM enrolment WHERE state = 'issued'"),
    unfinished: count("SELECT count(*) AS n FROM enrolment WHERE state = 'intent'"),
    repeatedSerials: count(
      `SELECT count(*) - count(DISTINCT serial_number) AS n FROM enrolment WHERE serial_number IS NOT NULL`,
    ),
    unknown,
  };
}
