import { LEASE_MS, type Lease, type SourceType } from "@isthmus/shared/link/inventory-messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type { LeaseClaim } from "../core/link-records.ts";
import { checkSession, recordConnectorEvent } from "./connector-sessions.ts";
import { recordSourceEvent } from "./inventory-sources.ts";
import { rerouteActions } from "./site-action-upkeep.ts";

/**
 * Who reads a source. One bridge does, under a number that grows whenever another one takes over or the same one comes back with older
 * state, so that what was told under an older number is known for what it is.
 *
 *     free ──lease-wanted──▶ held ──LEASE_MS without one, or given up──▶ free
 *                             └──lease-wanted of the holder──▶ held
 */

/** Own limits: sources that one connector reads; how far its number may be ahead, after this side was restored from a backup. */
export const MAX_SOURCES = 16;
const MAX_AHEAD = 2 ** 32;
/** Above this no number is believed, so that there are always more of them. */
const MAX_CLAIMED = 2 ** 52;
/** A bridge asks every 20 s: a refusal is told of once in this time. */
const TOLD_EVERY_MS = 3_600_000;
/** Takings and givings-up of a source that are told within that time: a bridge that does nothing else fills nothing. */
const MAX_TOLD = 200;

/** The answer to a bridge that would read a source, or goes on reading it; undefined for a connector that is no bridge. */
function renewLease(transaction: Transaction, claim: LeaseClaim): Lease | undefined {
  const connector = checkSession(transaction, claim);
  if (connector["service"] !== "comgmt-bridge") return undefined;
  const row = sourceRow(transaction, claim.source) ?? create(transaction, claim);
  if (row === undefined) return refusal(transaction, claim, `it reads ${MAX_SOURCES} already`);
  if (row["type"] !== claim.sourceType) {
    return refusal(transaction, claim, `it is known as ${row["type"]}, not ${claim.sourceType}`);
  }
  const isHolder = row["connector_id"] === claim.connectorId;
  if (claim.isGivenUp) return isHolder ? giveUp(transaction, claim, row) : answer(row, false, 0);
  if (!isHolder && !isFree(transaction, row, claim.now))
    return heldByAnother(transaction, row, claim);
  if (!isHolder && isFull(transaction, claim.connectorId)) {
    return refusal(transaction, claim, `it reads ${MAX_SOURCES} already`);
  }
  return hold(transaction, claim, row, Number(connector["epoch"]));
}

function sourceRow(transaction: Transaction, name: string): Row | undefined {
  return transaction.get("SELECT * FROM inventory_source WHERE name = ?", name);
}

function create(transaction: Transaction, claim: LeaseClaim): Row | undefined {
  if (isFull(transaction, claim.connectorId)) return undefined;
  transaction.run(
    "INSERT INTO inventory_source (name, type, created_at) VALUES (?, ?, ?)",
    claim.source,
    claim.sourceType satisfies SourceType,
    claim.now,
  );
  return sourceRow(transaction, claim.source);
}

/** Sources of which it was the last holder count, so that nobody makes ever more of them by giving each one up. */
function isFull(transaction: Transaction, connectorId: string): boolean {
  const row = transaction.get(
    "SELECT count(*) AS n FROM inventory_source WHERE connector_id = ?",
    connectorId,
  );
  return Number(row?.["n"]) >= MAX_SOURCES;
}

function isFree(transaction: Transaction, row: Row, now: number): boolean {
  const until = row["lease_until"];
  if (row["connector_id"] === null || until === null || Number(until) <= now) return true;
  // Our clock was put back: a holder that is gone must not keep the source for as long as that was.
  if (Number(until) > now + LEASE_MS) {
    transaction.run(
      "UPDATE inventory_source SET lease_until = ? WHERE id = ?",
      now + LEASE_MS,
      Number(row["id"]),
    );
  }
  return false;
}

function hold(transaction: Transaction, claim: LeaseClaim, row: Row, epoch: number): Lease {
  const { connectorId, now } = claim;
  const isSame = row["connector_id"] === connectorId && row["lease_epoch"] === epoch;
  const stored = Number(row["lease"]);
  // A number of which we know nothing: this side was restored from a backup, and no number may be given twice.
  const isBelieved = claim.lease <= Math.min(stored + MAX_AHEAD, MAX_CLAIMED);
  const known = isBelieved ? Math.max(stored, claim.lease) : stored;
  const lease = isSame && known > 0 ? known : known + 1;
  transaction.run(
    "UPDATE inventory_source SET connector_id = ?, lease = ?, lease_until = ?, lease_epoch = ? WHERE id = ?",
    connectorId,
    lease,
    now + LEASE_MS,
    epoch,
    Number(row["id"]),
  );
  // Who gave it up and takes it back (a bridge that was restarted) is told of as well: else it looks as if nobody read it.
  if (!isSame || row["lease_until"] === null) tellTaken(transaction, claim, row, lease);
  if (!isSame) rerouteActions(transaction, now);
  return answer({ ...row, lease }, true, LEASE_MS);
}

function tellTaken(transaction: Transaction, claim: LeaseClaim, row: Row, lease: number): void {
  const { connectorId, source, now } = claim;
  if (isToldEnough(transaction, row, now)) return;
  const previous = row["connector_id"];
  const isHandedOver = previous !== null && previous !== connectorId;
  if (isHandedOver) {
    const detail = `${source}: another connector reads it under lease ${lease}`;
    recordConnectorEvent(transaction, String(previous), now, "source.lost", detail);
  }
  const from = isHandedOver ? `, which ${previous} had` : "";
  const message = `${source} under lease ${lease}${from}`;
  recordConnectorEvent(transaction, connectorId, now, "source.taken", message);
  const event = { at: now, now, event: "lease.taken", message: `${connectorId}: ${message}` };
  recordSourceEvent(transaction, { sourceId: Number(row["id"]), side: "cloud", ...event });
}

function giveUp(transaction: Transaction, claim: LeaseClaim, row: Row): Lease {
  if (row["lease_until"] !== null) {
    transaction.run(
      "UPDATE inventory_source SET lease_until = NULL WHERE id = ?",
      Number(row["id"]),
    );
    if (!isToldEnough(transaction, row, claim.now)) tellGivenUp(transaction, claim, row);
  }
  return answer(row, false, 0);
}

function tellGivenUp(
  transaction: Transaction,
  { connectorId, source, now }: LeaseClaim,
  row: Row,
): void {
  recordConnectorEvent(transaction, connectorId, now, "source.given-up", source);
  const event = { at: now, now, event: "lease.given-up", message: `by ${connectorId}` };
  recordSourceEvent(transaction, { sourceId: Number(row["id"]), side: "cloud", ...event });
}

function isToldEnough(transaction: Transaction, row: Row, now: number): boolean {
  const told = transaction.get(
    `SELECT count(*) AS n FROM (SELECT side, event, recorded_at FROM inventory_event WHERE source_id = ? ORDER BY id DESC LIMIT ?)
     WHERE side = 'cloud' AND event IN ('lease.taken', 'lease.given-up') AND recorded_at > ?`,
    Number(row["id"]),
    MAX_TOLD,
    now - TOLD_EVERY_MS,
  );
  return Number(told?.["n"]) >= MAX_TOLD;
}

function heldByAnother(transaction: Transaction, row: Row, { now }: LeaseClaim): Lease {
  const holder = transaction.get(
    "SELECT display_name FROM connector WHERE id = ?",
    String(row["connector_id"]),
  );
  const validMs = Math.min(LEASE_MS, Math.max(0, Number(row["lease_until"]) - now));
  return { ...answer(row, false, validMs), holder: String(holder?.["display_name"] ?? "") };
}

function answer(row: Row, isHeld: boolean, validMs: number): Lease {
  return {
    type: "lease",
    source: String(row["name"]),
    isHeld,
    lease: Number(row["lease"]),
    revision: Number(row["revision"]),
    validMs,
  };
}

function refusal(transaction: Transaction, claim: LeaseClaim, why: string): Lease {
  const { connectorId, source, now } = claim;
  const told = transaction.get(
    "SELECT 1 FROM connector_event WHERE connector_id = ? AND at > ? AND event = 'source.refused' LIMIT 1",
    connectorId,
    now - TOLD_EVERY_MS,
  );
  if (told === undefined) {
    recordConnectorEvent(transaction, connectorId, now, "source.refused", `${source}: ${why}`);
  }
  return { type: "lease", source, isHeld: false, lease: 0, revision: 0, validMs: 0 };
}

export const leaseOperations = { renewLease };
