import { inOption } from "../protocol/query-option-error.ts";
import { readSkipToken, writeSkipToken } from "../protocol/skip-token.ts";
import { BASE_PATH, nextLink } from "./listing.ts";

/** Pages of what is in the order of one number, whatever that is the number of. */

/** `identity` says of what the pages are, so that a `$skiptoken` of something else is refused. */
export interface NumberPaging {
  readonly skipTokenKey: Uint8Array;
  readonly publicUrl: string;
  readonly identity: string;
}

/** The number that the last page ended with. */
export function placeOf(paging: NumberPaging, query: URLSearchParams): number | undefined {
  const token = query.get("$skiptoken");
  if (token === null) return undefined;
  const [place] = inOption("$skiptoken", () =>
    readSkipToken(paging.skipTokenKey, paging.identity, token),
  );
  return Number(place);
}

export function nextPage(
  { skipTokenKey, publicUrl, identity }: NumberPaging,
  path: string,
  query: URLSearchParams,
  place: number | undefined,
): { readonly "@odata.nextLink"?: string } {
  if (place === undefined) return {};
  const skipToken = writeSkipToken(skipTokenKey, identity, [place]);
  return { "@odata.nextLink": nextLink(`${publicUrl}${BASE_PATH}/${path}`, query, skipToken) };
}
