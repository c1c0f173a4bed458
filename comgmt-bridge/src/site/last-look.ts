import { ConnectorError } from "@isthmus/shared/errors";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { Leaving } from "../core/inventory-state.ts";
import type { KeyedReading } from "../core/ports.ts";
import type { Asking } from "./admin-service-client.ts";
import type { CollectionScope } from "./range-reading.ts";
import type { SiteReading } from "./site-reading.ts";
import type { KindOfSite } from "./site-tables.ts";

const EVERYTHING: CollectionScope = { collections: [] };

/**
 * Asks by key for what a scan is about to delete, beside neighbours that it has read. Rights that are narrowed for a moment hide records
 * with an ordinary answer; where that is so at the end of two scans, nothing else tells them from what is gone. Throws `page-narrowed`
 * where a neighbour is not seen, and what the client throws; otherwise gives what is there after all, neighbours included.
 */
export async function lastLook(
  { keyed, scope }: SiteReading,
  tables: KindOfSite,
  { keys, neighbours }: Leaving,
  asking: Asking,
): Promise<KeyedReading> {
  const { kind, spine } = tables;
  const of = { kind: tables, tables: [spine], scope: kind === "device" ? scope : EVERYTHING };
  const found = await keyed.read(of, [...keys, ...neighbours].map(Number), asking);
  const seen = new Set(found.records.map(({ key }) => key));
  const hidden = neighbours.filter((key) => !seen.has(key)).length;
  if (hidden > 0) throw narrowed(kind, { hidden, of: neighbours.length });
  return found;
}

function narrowed(
  kind: RecordKind,
  { hidden, of }: { hidden: number; of: number },
): ConnectorError {
  const words = `${hidden} of ${of} records of kind ${kind} that this scan has read are not seen any more: the account's rights seem to have been narrowed, and nothing is taken for deleted`;
  return new ConnectorError("page-narrowed", words, { isRetryable: true });
}
