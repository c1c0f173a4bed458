import type { Row } from "../protocol/admin-service/answer.ts";
import type { ClassName, Key } from "../protocol/admin-service/path.ts";
import type { Query } from "../protocol/admin-service/query.ts";
import type { Asking, RawPage } from "./admin-service-client.ts";

/** What those who read tables use of the client. */
export interface RawPages {
  page(of: ClassName, query: Query, asking: Asking): Promise<RawPage>;
}

/** Of those who read lazy properties, too. */
export interface Objects {
  one(of: ClassName, key: Key, asking: Asking): Promise<Row>;
}

/** Of those who ask for what has a path of its own. */
export interface Calls {
  ask(
    path: string,
    asking: Asking & { readonly asked: "rows" | "cmpivot-result" },
  ): Promise<Buffer>;
}
