import { parseQuery } from "@isthmus/shared/cmpivot/parser";
import { readsOf } from "@isthmus/shared/cmpivot/reads";
import type { siteCommandPayloads } from "@isthmus/shared/link/site-messages";
import type { z } from "zod";
import { judgeQueries } from "../../core/actions/action-allowance.ts";
import { judgeQuery } from "../../core/query-allowance.ts";
import { queryRequest } from "../../protocol/admin-service/action-requests.ts";
import type { ActionParts } from "./action-parts.ts";
import type { ActionKind } from "./action-runner.ts";

export type QueryPayload = z.output<(typeof siteCommandPayloads)["site.query"]>;

/** CMPivot, one operation for each device: `RunCMPivot` knows one device or a whole collection, whoever is in it by then. */
export function queryKind(parts: ActionParts): ActionKind<QueryPayload> {
  /** What is judged is what is sent: the canonical text. Throws RefusalError, ProtocolError. */
  const canonical = (text: string): string => {
    const reads = readsOf(parseQuery(text));
    judgeQuery(reads, parts.queries);
    return reads.text;
  };
  return {
    window: () => "site-devices-queried",
    judge({ query }) {
      judgeQueries(parts.allowance);
      canonical(query);
    },
    async prepare({ query: text }, resourceIds) {
      const query = canonical(text);
      return {
        plan: { kind: "query", query },
        resourceIds,
        passedOver: [],
        request: ([first]) => queryRequest(query, first ?? 0),
        isOneByOne: true,
      };
    },
  };
}
