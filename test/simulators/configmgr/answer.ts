import type { EntityClass } from "./entity-class.ts";
import type { Query } from "./odata-query.ts";

/** What a request comes to: rows of a class, or JSON that is ready. */
export type Answer =
  | { readonly kind: "json"; readonly status: number; readonly body?: unknown }
  | { readonly kind: "text"; readonly status: number; readonly type: string; readonly text: string }
  | {
      readonly kind: "rows";
      readonly of: EntityClass;
      readonly query: Query<unknown>;
      /** Behind `$metadata#`. */
      readonly context: string;
    };

export function json(status: number, body?: unknown): Answer {
  return { kind: "json", status, ...(body !== undefined && { body }) };
}
