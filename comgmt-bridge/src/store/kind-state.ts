import { VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { Row, SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import type { KeyBounds } from "../core/inventory-state.ts";
import { facetCode, TOLD, WANTED } from "./facet-states.ts";

/** A kind of a source, as its row has it. */
export interface KindState {
  readonly id: number;
  readonly source: string;
  readonly kind: RecordKind;
  readonly completeScans: number;
  readonly lastScan: { readonly beganAt: number; readonly endedAt: number } | undefined;
  readonly lastDigestAt: number | undefined;
  readonly records: number;
}

interface OfKind {
  readonly source: string;
  readonly kind: RecordKind;
}

/** Keys that are no numbers have this one; it lies in no range but that of the whole kind. */
export const NO_NUMBER = -1;
const WHOLE: KeyBounds = { after: NO_NUMBER - 1, through: Number.MAX_SAFE_INTEGER };

/** The number by which a key lies in a range. */
export function numberOf(key: string): number {
  return /^(?:0|[1-9]\d{0,14})$/.test(key) ? Number(key) : NO_NUMBER;
}

export function boundsOf(range: KeyBounds | undefined): KeyBounds {
  return range ?? WHOLE;
}

/** The row of a kind, made where there is none. */
export function kindState(transaction: Transaction, of: OfKind): KindState {
  const found = findKind(transaction, of);
  if (found !== undefined) return found;
  transaction.run(
    "INSERT INTO kind_state (source, kind, epoch) VALUES (?, ?, ?)",
    of.source,
    of.kind,
    linkEpoch(transaction),
  );
  return findKind(transaction, of) as KindState;
}

/** The row of a kind. Where the link has begun a new epoch since, what its scans proved is forgotten. */
export function findKind(transaction: Transaction, of: OfKind): KindState | undefined {
  const read = () =>
    transaction.get("SELECT * FROM kind_state WHERE source = ? AND kind = ?", of.source, of.kind);
  const row = read();
  if (row === undefined) return undefined;
  const epoch = linkEpoch(transaction);
  if (Number(row["epoch"]) === epoch) return fromRow(row);
  beginAnew(transaction, Number(row["id"]), epoch);
  return fromRow(read() as Row);
}

/**
 * This state was restored (or the control plane's): scans count from zero, misses prove nothing, and every range is read again, since a
 * range that is passed over tells nothing of records that are no longer held to be missing.
 */
function beginAnew(transaction: Transaction, id: number, epoch: number): void {
  transaction.run(
    "UPDATE kind_state SET epoch = ?, complete_scans = 0, last_began_at = NULL, last_ended_at = NULL WHERE id = ?",
    epoch,
    id,
  );
  transaction.run(
    `UPDATE record_state SET missed_after = NULL, missed_at = NULL, waits = 0, approved_by = NULL
     WHERE kind_id = ? AND missed_after IS NOT NULL`,
    id,
  );
  transaction.run("DELETE FROM range_page WHERE kind_id = ?", id);
}

function linkEpoch(transaction: Transaction): number {
  return Number(transaction.get("SELECT epoch FROM command_lane")?.["epoch"]);
}

export function fromRow(row: Row): KindState {
  const beganAt = optionalTime(row["last_began_at"]);
  const endedAt = optionalTime(row["last_ended_at"]);
  return {
    id: Number(row["id"]),
    source: String(row["source"]),
    kind: row["kind"] as RecordKind,
    completeScans: Number(row["complete_scans"]),
    lastScan: beganAt === undefined || endedAt === undefined ? undefined : { beganAt, endedAt },
    lastDigestAt: optionalTime(row["last_digest_at"]),
    records: Number(row["records"]),
  };
}

function optionalTime(value: SqlValue | undefined): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}

/**
 * Entries of another lease may have been passed over. What of them a digest shows is repaired by it; the volatile facet is in none, so all of
 * it is told once more when it is next read.
 */
export function wantVolatile(transaction: Transaction, source: string): void {
  const kinds = "kind_id IN (SELECT id FROM kind_state WHERE source = ?)";
  transaction.run(`DELETE FROM range_page WHERE ${kinds}`, source);
  const row = transaction.get("SELECT id FROM facet_name WHERE name = ?", VOLATILE_FACET);
  if (row === undefined) return;
  // No hash and no code has the state's sign, so this can only be that facet.
  const told = facetCode(Number(row["id"])) + TOLD;
  transaction.run(
    `UPDATE record_state SET facets = replace(facets, ?, ?) WHERE ${kinds} AND instr(facets, ?) > 0`,
    told,
    facetCode(Number(row["id"])) + WANTED,
    source,
    told,
  );
}

/** Counts records that came (or, negative, went). */
export function countRecords(transaction: Transaction, id: number, more: number): void {
  if (more === 0) return;
  transaction.run("UPDATE kind_state SET records = records + ? WHERE id = ?", more, id);
}

// --- Pages of ranges --------------------------------------------------------------------------------------------------

export function pagesOf(
  transaction: Transaction,
  of: OfKind & { readonly range: KeyBounds | undefined },
): Readonly<Record<string, string>> {
  const kind = findKind(transaction, of);
  if (kind === undefined) return {};
  const { after, through } = boundsOf(of.range);
  const row = transaction.get(
    "SELECT pages FROM range_page WHERE kind_id = ? AND after = ? AND through = ?",
    kind.id,
    after,
    through,
  );
  return row === undefined ? {} : JSON.parse(String(row["pages"]));
}

/**
 * Notes what a range came in; ranges of other bounds that overlap it have been read differently since, and are forgotten. So is a page that is
 * as it was `before` the range was read and was forgotten meanwhile: nobody has looked into it.
 */
export function keepPages(
  transaction: Transaction,
  kindId: number,
  { after, through }: KeyBounds,
  of: {
    readonly pages: Readonly<Record<string, string>>;
    readonly before: Readonly<Record<string, string>> | undefined;
    readonly known: Readonly<Record<string, string>>;
  },
): void {
  forgetRanges(transaction, kindId, { after, through });
  const { pages, before, known } = of;
  const kept = Object.entries(pages).filter(
    ([name, hash]) => before?.[name] !== hash || known[name] === hash,
  );
  if (kept.length === 0) return;
  transaction.run(
    "INSERT INTO range_page (kind_id, after, through, pages) VALUES (?, ?, ?, ?)",
    kindId,
    after,
    through,
    JSON.stringify(Object.fromEntries(kept)),
  );
}

/** All ranges that overlap this one have to be read again. */
export function forgetRanges(
  transaction: Transaction,
  kindId: number,
  { after, through }: KeyBounds,
): void {
  transaction.run(
    "DELETE FROM range_page WHERE kind_id = ? AND after < ? AND through > ?",
    kindId,
    through,
    after,
  );
}

/** Of the range that holds the number these pages have to be looked into again, even if they come in the same bytes. */
export function forgetSomePagesAt(
  transaction: Transaction,
  kindId: number,
  number: number,
  names: readonly string[],
): void {
  if (names.length === 0) return;
  const row = transaction.get(
    `SELECT after, through, pages FROM range_page WHERE kind_id = ? AND after < ?
     ORDER BY after DESC LIMIT 1`,
    kindId,
    number,
  );
  if (row === undefined || Number(row["through"]) < number) return;
  const pages: Record<string, string> = JSON.parse(String(row["pages"]));
  const known = names.filter((name) => (pages[name] ?? "") !== "");
  if (known.length === 0) return;
  for (const name of known) pages[name] = "";
  transaction.run(
    "UPDATE range_page SET pages = ? WHERE kind_id = ? AND after = ? AND through = ?",
    JSON.stringify(pages),
    kindId,
    row["after"] ?? null,
    row["through"] ?? null,
  );
}

/** The range that holds the number has to be read again, even if it comes in the same bytes. */
export function forgetPagesAt(transaction: Transaction, kindId: number, number: number): void {
  transaction.run(
    `DELETE FROM range_page WHERE kind_id = ? AND through >= ?
       AND after = (SELECT max(after) FROM range_page WHERE kind_id = ? AND after < ?)`,
    kindId,
    number,
    kindId,
    number,
  );
}
