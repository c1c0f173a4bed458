import { isPermitted } from "../core/roles.ts";
import { address } from "./cells.ts";
import type { ConsoleApi } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import type { PageAnswer } from "./page.ts";

/** What a page shows, whole and as a file: the API's exports, for who may have them. */

const FORMATS = [
  ["csv", "CSV"],
  ["ndjson", "lines of JSON"],
] as const;

/** `path` is that of the download, `query` what the page was asked with. */
export function downloadLinks(
  api: ConsoleApi,
  path: string,
  query: Readonly<Record<string, string>> = {},
): Html | undefined {
  if (!isPermitted(api.session.roles, "inventory.export")) return undefined;
  const links = FORMATS.map(
    ([format, words], n) =>
      html`${n === 0 ? "" : ", "}<a href="${address(path, { ...query, format })}">${words}</a>`,
  );
  return html`<p class="quiet">All of it as a file: ${links}</p>`;
}

/** The answer to such a link. */
export async function download(
  api: ConsoleApi,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
): Promise<PageAnswer> {
  return { status: 200, file: await api.file(path, query) };
}
