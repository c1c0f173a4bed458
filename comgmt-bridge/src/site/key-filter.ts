import type { KeyBounds } from "../core/inventory-state.ts";
import { compare, type Filter } from "../protocol/admin-service/query.ts";

/** Rows of which the key lies in these bounds. */
export function within(keyName: string, { after, through }: KeyBounds): Filter {
  const parts = [compare(keyName, "gt", after), compare(keyName, "le", through)];
  return { kind: "and", parts };
}
