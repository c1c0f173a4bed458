import { MAX_KEY } from "../core/key-ranges.ts";
import { readPlainRows } from "../protocol/admin-service/page-rows.ts";
import { compare, type Query } from "../protocol/admin-service/query.ts";
import type { Asking } from "./admin-service-client.ts";
import { within } from "./key-filter.ts";
import type { RawPages } from "./raw-pages.ts";
import type { LaidOutTable } from "./site-tables.ts";

/**
 * A key above `after` below which there is none; undefined where none is left. Exact where the site orders rows; else found by halving,
 * and exact only as far as a range needs it. Throws what the client throws.
 */
export async function nextKeyBehind(
  client: RawPages,
  { table, keyName }: LaidOutTable,
  {
    after,
    isOrdered,
    precision,
  }: { readonly after: number; readonly isOrdered: boolean; readonly precision: number },
  asking: Asking,
): Promise<number | undefined> {
  const first = async (query: Query) => {
    const page = await client.page(table.of, { select: [keyName], top: 1, ...query }, asking);
    const key = readPlainRows(page.body.whole).rows[0]?.[keyName];
    return typeof key === "number" && key > after ? key : undefined;
  };
  const above = compare(keyName, "gt", after);
  if (isOrdered) return await first({ filter: above, orderBy: { property: keyName } });
  let key = await first({ filter: above });
  for (let low = after; key !== undefined && key - low > precision; ) {
    const middle = low + Math.floor((key - low) / 2);
    const lower = await first({
      filter: within(keyName, { after: low, through: Math.min(middle, MAX_KEY) }),
    });
    if (lower === undefined) low = middle;
    else key = lower;
    // Nothing lies between `after` and `low`.
    if (key - low <= precision) return low + 1;
  }
  return key;
}
