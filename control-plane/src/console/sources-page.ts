import { table, text, time } from "./cells.ts";
import type { ConsoleApi, Entity } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { signedInPage } from "./page-frame.ts";

const ROWS = "200";

/** `/sources`: every system that is read, and by whom. */
export async function sourcesPage(api: ConsoleApi): Promise<Html> {
  const { entities } = await api.page("/configurationManagerSites", {
    $select: "displayName,sourceType,isRead,leaseHolderDisplayName,lastEntryDateTime,counts",
    $top: ROWS,
  });
  const list = table({
    id: "sources",
    caption: "Sources of inventory",
    columns: ["Source", "Type", "Read by", "Last news", "Devices"],
    rows: entities.map((each) => [
      html`<a href="/sources/${encodeURIComponent(text(each["id"]))}">${text(each["displayName"])}</a>`,
      text(each["sourceType"]),
      each["isRead"] === true
        ? text(each["leaseHolderDisplayName"])
        : html`<span class="bad">nobody now</span>`,
      time(each["lastEntryDateTime"]),
      text(((each["counts"] ?? {}) as Entity)["device"] ?? 0),
    ]),
  });
  const none = html`<p class="quiet">No bridge has told of a site, a domain or inventory documents yet.</p>`;
  return signedInPage(
    { title: "Sources", place: "/sources", session: api.session },
    html`<h2>Sources</h2>${entities.length === 0 ? none : list}`,
  );
}
