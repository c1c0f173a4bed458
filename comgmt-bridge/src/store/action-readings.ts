import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type {
  ActionPlan,
  DeviceState,
  RequestState,
  StoredAction,
} from "../core/actions/action-state.ts";

/** Own limits: what is under way at once, and what one action may have. */
export const MAX_OPEN_ACTIONS = 1_000;
export const MAX_DEVICES = 10_000;
const MAX_REQUESTS = 100_000;

function findAction(
  transaction: Transaction,
  { id }: { readonly id: string },
): StoredAction | undefined {
  const row = transaction.get("SELECT * FROM site_action WHERE id = ?", id);
  return row && storedAction(transaction, row);
}

/** Actions that are under way at a site, oldest first. */
function openActionIds(
  transaction: Transaction,
  { source }: { readonly source: string },
): string[] {
  return transaction
    .all(
      "SELECT id FROM site_action WHERE ended_at IS NULL AND source = ? ORDER BY at, id LIMIT ?",
      source,
      MAX_OPEN_ACTIONS,
    )
    .map((row) => String(row["id"]));
}

function storedAction(transaction: Transaction, row: Row): StoredAction {
  const id = String(row["id"]);
  const requests = transaction.all(
    "SELECT * FROM site_action_request WHERE action_id = ? ORDER BY n LIMIT ?",
    id,
    MAX_REQUESTS,
  );
  const open = transaction.all(
    "SELECT * FROM site_action_device WHERE action_id = ? AND state IN ('queued', 'sent', 'running') ORDER BY resource_id LIMIT ?",
    id,
    MAX_DEVICES,
  );
  return {
    id,
    source: String(row["source"]),
    plan: JSON.parse(String(row["plan"])) as ActionPlan,
    at: Number(row["at"]),
    expiresAt: Number(row["expires_at"]),
    isEnded: row["ended_at"] !== null,
    count: Number(row["count"]),
    requests: requests.map((request) => ({
      n: Number(request["n"]),
      state: String(request["state"]) as RequestState,
      digest: String(request["digest"]),
      intendedAt: Number(request["intended_at"]),
      operationId: numberOf(request["operation_id"]),
      takenAt: numberOf(request["taken_at"]),
      isTimed: request["requested_time"] !== null,
    })),
    open: open.map((device) => ({
      resourceId: Number(device["resource_id"]),
      state: String(device["state"]) as DeviceState,
      request: Number(device["request"]),
      attempts: Number(device["attempts"]),
    })),
  };
}

function numberOf(value: Row[string] | undefined): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}

/**
 * Which of these operations of the site are known to be this bridge's. One that the site says was asked for at another time than it said
 * of the bridge's has got its number again.
 */
function knownOperations(
  transaction: Transaction,
  {
    source,
    operations,
  }: {
    readonly source: string;
    readonly operations: readonly {
      readonly id: number;
      readonly requestedTime: string | undefined;
    }[];
  },
): number[] {
  const sql = `SELECT 1 FROM site_action_request r JOIN site_action a ON a.id = r.action_id
    WHERE r.operation_id = ? AND a.source = ? AND coalesce(r.requested_time = ?, 1) LIMIT 1`;
  return operations
    .filter(({ id, requestedTime }) => transaction.get(sql, id, source, requestedTime ?? null))
    .map(({ id }) => id);
}

/**
 * What is known of an operation's number: the devices that the request was for, the time that the site told of it first, and whether
 * the site has given the number to a later request of this bridge.
 */
function claimOf(
  transaction: Transaction,
  of: {
    readonly id: string;
    readonly n: number;
    readonly source: string;
    readonly operationId: number;
  },
): {
  readonly resourceIds: readonly number[];
  readonly requestedTime: string | undefined;
  readonly isGivenAgain: boolean;
} {
  const request = transaction.get(
    "SELECT requested_time, intended_at FROM site_action_request WHERE action_id = ? AND n = ?",
    ...[of.id, of.n],
  );
  const devices = transaction.all(
    "SELECT resource_id FROM site_action_device WHERE action_id = ? AND request = ? LIMIT ?",
    ...[of.id, of.n, MAX_DEVICES],
  );
  const later = transaction.get(
    `SELECT 1 FROM site_action_request r JOIN site_action a ON a.id = r.action_id
       WHERE r.operation_id = ? AND a.source = ? AND r.intended_at > ? AND (r.action_id <> ? OR r.n <> ?) LIMIT 1`,
    ...[of.operationId, of.source, Number(request?.["intended_at"]), of.id, of.n],
  );
  const requestedTime = request?.["requested_time"];
  return {
    resourceIds: devices.map((row) => Number(row["resource_id"])),
    requestedTime: typeof requestedTime === "string" ? requestedTime : undefined,
    isGivenAgain: later !== undefined,
  };
}

/** The operation that the site numbered for us last: whoever created it is us. A higher number may be another's since a restore. */
function lastOperation(
  transaction: Transaction,
  { source }: { readonly source: string },
): number | undefined {
  const row = transaction.get(
    `SELECT r.operation_id AS last FROM site_action_request r JOIN site_action a ON a.id = r.action_id
       WHERE a.source = ? AND r.operation_id IS NOT NULL ORDER BY r.taken_at DESC, r.operation_id DESC LIMIT 1`,
    source,
  );
  return numberOf(row?.["last"]);
}

/** Requests without an answer of actions with one plan that are for a device. */
function countIntended(
  transaction: Transaction,
  of: { readonly source: string; readonly plan: ActionPlan; readonly resourceId: number },
): number {
  const row = transaction.get(
    `SELECT count(*) AS count FROM site_action a
       JOIN site_action_request r ON r.action_id = a.id AND r.state = 'intended'
       JOIN site_action_device d ON d.action_id = a.id AND d.resource_id = ?
       WHERE a.source = ? AND a.plan = ? AND a.ended_at IS NULL`,
    of.resourceId,
    of.source,
    JSON.stringify(of.plan),
  );
  return Number(row?.["count"]);
}

/** How much of a sliding window is used, counted as `consumeLimit` does. */
function windowUse(
  transaction: Transaction,
  {
    kind,
    windowMs,
    now,
  }: { readonly kind: string; readonly windowMs: number; readonly now: number },
): number {
  const row = transaction.get(
    "SELECT coalesce(sum(count), 0) AS used FROM limit_use WHERE kind = ? AND step_ends_at > ?",
    kind,
    now - windowMs,
  );
  return Number(row?.["used"]);
}

export const actionReadings = {
  findAction,
  openActionIds,
  knownOperations,
  claimOf,
  lastOperation,
  countIntended,
  windowUse,
};
