import { address, pageLinks, table, text } from "./cells.ts";
import type { ConsoleApi } from "./console-api.ts";
import { apiPath, devicePage, pagePath, type ShownDevice } from "./device-frame.ts";
import { type Html, html } from "./html.ts";
import { sourcePath } from "./source-frame.ts";

const ROWS = "200";

/** `/devices/{id}/collections`: the collections that a device is in. */
export async function deviceCollectionsPage(
  api: ConsoleApi,
  device: ShownDevice,
  query: URLSearchParams,
): Promise<Html> {
  const skipToken = query.get("page") ?? undefined;
  const found = await api.page(`${apiPath(device)}/configurationManagerCollections`, {
    $orderby: "displayName",
    $top: ROWS,
    $skiptoken: skipToken,
    $count: skipToken === undefined ? "true" : undefined,
  });
  const here = pagePath(device, "/collections");
  const list = table({
    id: "collections",
    caption: "Collections",
    columns: ["Collection", "CollectionID", "Site"],
    rows: found.entities.map((each) => {
      const name = text(each["configurationManagerSite"]);
      const path = sourcePath({ name }, `/collections/${encodeURIComponent(text(each["id"]))}`);
      return [
        html`<a href="${path}">${text(each["displayName"])}</a>`,
        html`<code>${text(each["collectionId"])}</code>`,
        name,
      ];
    }),
  });
  const counted =
    found.count === undefined ? undefined : html`<p>In ${found.count} collections.</p>`;
  const content = html`${counted}
    ${found.entities.length === 0 ? html`<p class="quiet">In no collection that is known.</p>` : list}
    ${pageLinks(skipToken === undefined ? undefined : here, found.skipToken && address(here, { page: found.skipToken }))}`;
  return devicePage(api, device, { tab: "/collections" }, content);
}
