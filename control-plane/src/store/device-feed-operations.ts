import { randomUUID } from "node:crypto";
import type { DeviceState } from "@isthmus/shared/link/messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type { Act } from "../core/admin-records.ts";
import { type DevicesUpdate, updatesFor } from "../core/device-feed.ts";
import { insertCommand } from "./command-operations.ts";
import { stateOf } from "./device-row.ts";

/**
 * Tells gateways of devices. A gateway is fed everything when it first connects and whenever it may have missed something;
 * in between it is told each change, in the transaction that makes it.
 *
 *     not fed ── connected: everything ──▶ current ── change: one update ──▶ current
 *        ▲                                    │
 *        └── new epoch, an update that failed or expired, too many waiting ──┘
 */

/** Own limits. */
const UPDATE_VALIDITY_MS = 7 * 86_400_000;
/**
 * Changes that may wait for a gateway that is away; beyond it one feed at its return is cheaper. It is also well below the
 * number of open commands a connector takes, so that others are not kept waiting behind them.
 */
export const MAX_WAITING_UPDATES = 100;
/** After an update that the gateway itself failed or refused, so that a defect does not turn into a stream of feeds. */
const RETRY_AFTER_MS = 10 * 60_000;
const MAX_FED_AT_ONCE = 20;

/** Queues a change of one device for every gateway that is current. For use inside other operations. */
export function announceDevice(transaction: Transaction, device: DeviceState, act: Act): void {
  const gateways = transaction.all(
    `SELECT connector_id FROM device_feed JOIN connector ON connector.id = connector_id
     WHERE is_current = 1 AND disabled_at IS NULL LIMIT 10000`,
  );
  if (gateways.length === 0) return;
  const update = { version: nextVersion(transaction), isSnapshot: false, devices: [device] };
  for (const gateway of gateways) {
    const connectorId = String(gateway["connector_id"]);
    if (hasTooManyWaiting(transaction, connectorId)) {
      transaction.run("UPDATE device_feed SET is_current = 0 WHERE connector_id = ?", connectorId);
    } else {
      queue(transaction, connectorId, update, act);
    }
  }
}

/** Feeds everything to the connected gateways that are not current. Done before each round of signing, so it is cheap. */
function feedGateways(
  transaction: Transaction,
  { now }: { readonly now: number },
): { readonly queued: number } {
  const gateways = transaction.all(
    `SELECT c.id, c.epoch, f.connector_id IS NULL AS is_first FROM connector c
       LEFT JOIN device_feed f ON f.connector_id = c.id
     WHERE c.service = 'tunnel-gateway' AND c.connected_at IS NOT NULL AND c.disabled_at IS NULL
       AND (f.connector_id IS NULL OR f.is_current = 0 OR f.epoch <> c.epoch OR EXISTS (
         SELECT 1 FROM command m WHERE m.connector_id = c.id AND m.kind = 'devices.update'
           AND m.created_at >= f.fed_at AND (m.state IN ('expired', 'unknown', 'cancelled')
             OR (m.state IN ('failed', 'refused') AND m.state_at < ?))))
     LIMIT ?`,
    now - RETRY_AFTER_MS,
    MAX_FED_AT_ONCE,
  );
  return { queued: gateways.reduce((sum, row) => sum + feed(transaction, row, now), 0) };
}

function feed(transaction: Transaction, gateway: Row, now: number): number {
  const connectorId = String(gateway["id"]);
  const devices = transaction.all("SELECT * FROM managed_device ORDER BY rowid").map(stateOf);
  const isFirst = gateway["is_first"] === 1;
  const told = isFirst ? devices.filter((device) => !device.removed) : devices;
  const updates = updatesFor(told, isFirst, () => nextVersion(transaction));
  for (const update of updates) {
    queue(transaction, connectorId, update, { actor: "control-plane", now });
  }
  transaction.run(
    `INSERT INTO device_feed (connector_id, epoch, fed_at, is_current) VALUES (?, ?, ?, 1)
     ON CONFLICT (connector_id) DO UPDATE SET epoch = excluded.epoch, fed_at = excluded.fed_at, is_current = 1`,
    connectorId,
    Number(gateway["epoch"]),
    now,
  );
  return updates.length;
}

function hasTooManyWaiting(transaction: Transaction, connectorId: string): boolean {
  const row = transaction.get(
    `SELECT count(*) AS n FROM command WHERE connector_id = ? AND kind = 'devices.update'
       AND state IN ('queued', 'sent', 'accepted', 'running')`,
    connectorId,
  );
  return Number(row?.["n"]) >= MAX_WAITING_UPDATES;
}

function nextVersion(transaction: Transaction): number {
  transaction.run("UPDATE device_version SET version = version + 1");
  return Number(transaction.get("SELECT version FROM device_version")?.["version"]);
}

/** Commands are given their seq in the order of this time, so it must not go back with the clock: versions only grow. */
function orderedTime(transaction: Transaction, now: number): number {
  transaction.run("UPDATE device_version SET last_at = max(last_at, ?)", now);
  return Number(transaction.get("SELECT last_at FROM device_version")?.["last_at"]);
}

function queue(
  transaction: Transaction,
  connectorId: string,
  payload: DevicesUpdate,
  { actor, now }: Act,
): void {
  insertCommand(transaction, {
    id: randomUUID(),
    connectorId,
    kind: "devices.update",
    payload,
    actor,
    now: orderedTime(transaction, now),
    notBefore: now,
    expiresAt: now + UPDATE_VALIDITY_MS,
  });
}

/** What gateways are told of devices. */
export const deviceFeedOperations = { feedGateways };
