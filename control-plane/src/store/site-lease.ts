import { ConnectorError } from "@isthmus/shared/errors";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { ActionSite } from "./site-action-target.ts";

/** The connector that reads a site now, and so the one that acts there; undefined where there is none. */
export function leaseHolder(
  transaction: Transaction,
  siteId: number,
  now: number,
): string | undefined {
  const row = transaction.get(
    `SELECT s.connector_id FROM inventory_source s JOIN connector c ON c.id = s.connector_id
     WHERE s.id = ? AND s.lease_until > ? AND c.disabled_at IS NULL AND c.quarantined_at IS NULL`,
    siteId,
    now,
  );
  return row && String(row["connector_id"]);
}

/** Throws a retryable `site-unattended`: what is asked for is not kept for a bridge that may never come. */
export function requireLeaseHolder(transaction: Transaction, site: ActionSite, now: number) {
  const holder = leaseHolder(transaction, site.id, now);
  if (holder !== undefined) return holder;
  throw new ConnectorError(
    "site-unattended",
    `No bridge reads ${site.name} at present, so nothing can be done there; see the connectors' state`,
    { isRetryable: true },
  );
}
