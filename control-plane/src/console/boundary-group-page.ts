import { text } from "./cells.ts";
import type { ConsoleApi } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { type ShownSource, searchedList, sourceFrame } from "./source-frame.ts";

/** `/sources/{name}/boundary-groups`: the boundary groups of a site. */
export async function boundaryGroupsPage(
  api: ConsoleApi,
  source: ShownSource,
  query: URLSearchParams,
): Promise<Html> {
  const list = await searchedList(api, source, {
    ...{ resource: "configurationManagerBoundaryGroups", below: "/boundary-groups", query },
    caption: "Boundary groups",
    columns: ["Boundary group", "GroupID", "Boundaries", "Site systems", "Assigns", "Description"],
    row: (each) => [
      text(each["displayName"]),
      html`<code>${text(each["key"])}</code>`,
      text(each["memberCount"]),
      text(each["siteSystemCount"]),
      text(each["defaultSiteCode"]),
      text(each["description"]),
    ],
  });
  const note = html`<p class="quiet">Which of them a device is in stands on the device's own page.</p>`;
  return sourceFrame(api, source, { tab: "/boundary-groups" }, html`${note}${list}`);
}
