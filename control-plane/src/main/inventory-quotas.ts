import type { Configuration } from "../config/configuration.ts";
import {
  DEFAULT_QUOTA,
  type InventoryQuota,
  type InventoryQuotas,
} from "../core/inventory-quota.ts";

type Keys = Configuration["inventory"]["quota"];

const MEGABYTE = 1_000_000;

/** The limits of sources out of the configuration. */
export function inventoryQuotas({ sources, ...all }: Keys): InventoryQuotas {
  const usual = quotaOf(all, DEFAULT_QUOTA);
  const own = Object.entries(sources).map(([name, keys]) => [name, quotaOf(keys, usual)]);
  return { default: usual, sources: Object.fromEntries(own) };
}

function quotaOf(
  { records, megabytes }: Pick<Keys, "records" | "megabytes">,
  usual: InventoryQuota,
): InventoryQuota {
  return {
    records: records ?? usual.records,
    octets: megabytes === undefined ? usual.octets : megabytes * MEGABYTE,
  };
}
