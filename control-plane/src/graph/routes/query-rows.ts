import { QueryOptionError } from "../../protocol/query-option-error.ts";
import type { ApiDependencies } from "../dependencies.ts";
import {
  asLines,
  asServerSentEvents,
  QueryFollowing,
  rowBody,
  type StreamFormat,
} from "../follow-query.ts";
import { BASE_PATH } from "../listing.ts";
import { onlyOptions, topOf } from "../options.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";
import { operationOf } from "../site-operation.ts";

/** The rows that a live query brought: a page of them, or with `stream=true` all there are and those to come. */

const DEFAULT_TOP = 500;
const NONE = new URLSearchParams();

export function queryRowRoutes(api: ApiDependencies): Route[] {
  const following = new QueryFollowing(api);
  return [
    {
      method: "get",
      path: "/configurationManagerSites/:source/queries/:operationId/rows",
      permission: "actions.query",
      handle: async (request) => {
        onlyOptions(request.query, ["$top", "after", "stream"]);
        const isStream = request.query.get("stream") === "true";
        return isStream ? await stream(api, following, request) : await page(api, request);
      },
    },
  ];
}

async function page(api: ApiDependencies, request: ApiRequest) {
  const operation = await operationOf(api, request, NONE);
  const limit = topOf(request.query, DEFAULT_TOP);
  const afterNumber = afterOf(request);
  const actionId = String(operation["id"]);
  const rows = await api.siteActions.queryRows({ actionId, afterNumber, limit });
  const last = rows.at(-1)?.number ?? afterNumber;
  const source = encodeURIComponent(parameter(request, "source"));
  const path = `${BASE_PATH}/configurationManagerSites/${source}/queries/${actionId}/rows`;
  const next = `${api.listing.publicUrl}${path}?$top=${limit}&after=${last}`;
  return {
    status: 200,
    body: {
      ...(rows.length === limit && { "@odata.nextLink": next }),
      state: operation["state"],
      // No row comes after these any more.
      isComplete: operation["endedDateTime"] !== null && rows.length < limit,
      isTruncated: operation["isTruncated"],
      after: last,
      value: rows.map(rowBody),
    },
  };
}

async function stream(api: ApiDependencies, following: QueryFollowing, request: ApiRequest) {
  const operation = await operationOf(api, request, NONE);
  const isSse = /\btext\/event-stream\b/.test(request.accept);
  const format: StreamFormat = isSse ? asServerSentEvents : asLines;
  const chunks = following.follow({
    operationId: String(operation["id"]),
    actor: request.act.actor,
    after: afterOf(request),
    format,
    signal: request.signal,
    until: request.session.expiresAt,
  });
  const contentType = isSse ? "text/event-stream" : "application/x-ndjson";
  return { status: 200, stream: { contentType, chunks } };
}

function afterOf({ query }: ApiRequest): number {
  const text = query.get("after") ?? "0";
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new QueryOptionError(
    "after",
    "odata-after",
    "after is the number of the last row that was seen",
  );
}
