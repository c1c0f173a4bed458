import { TIMELINE_KINDS, type TimelineKind } from "../core/timeline.ts";
import { KIND_WORDS } from "../core/timeline-words.ts";
import { address, choice, pageLinks, table, text, time } from "./cells.ts";
import { type ConsoleApi, type Entity, quoted } from "./console-api.ts";
import { apiPath, devicePage, pagePath, type ShownDevice } from "./device-frame.ts";
import { download, downloadLinks } from "./downloads.ts";
import { type Html, html } from "./html.ts";
import type { PageAnswer } from "./page.ts";

const ROWS = "100";

/** `/devices/{id}/timeline`: what happened to a device, the last thing that was learnt first. */
export async function deviceTimelinePage(
  api: ConsoleApi,
  device: ShownDevice,
  query: URLSearchParams,
): Promise<Html> {
  const asked = askedIn(query);
  const skipToken = query.get("page") ?? undefined;
  const found = await api.page(`${apiPath(device)}/timeline`, {
    ...narrowing(asked),
    $top: ROWS,
    $skiptoken: skipToken,
  });
  const here = pagePath(device, "/timeline");
  const next = found.skipToken && address(here, { ...asked, page: found.skipToken });
  const empty = next
    ? "Nothing among the events that were looked at; the next page looks further back."
    : "Nothing like that happened, as far as is kept.";
  const content = html`<form class="asked" method="get" action="${here}" role="search" aria-label="Timeline">
      <label>Text <input type="search" name="search" value="${asked.search}" maxlength="256"></label>
      ${choice({
        ...{ name: "kind", label: "Kind", chosen: asked.kind },
        values: [["", "all"], ...TIMELINE_KINDS.map((kind) => [kind, KIND_WORDS[kind]] as const)],
      })}
      <button>Search</button>
    </form>
    ${found.entities.length === 0 ? html`<p class="quiet">${empty}</p>` : eventTable(found.entities)}
    ${downloadLinks(api, `${here}/export`, asked)}
    ${pageLinks(skipToken === undefined ? undefined : address(here, asked), next)}`;
  return devicePage(api, device, { tab: "/timeline" }, content);
}

/** `/devices/{id}/timeline/export`: what the page's form finds, as a file. */
export async function deviceTimelineFile(
  api: ConsoleApi,
  device: ShownDevice,
  query: URLSearchParams,
): Promise<PageAnswer> {
  const format = query.get("format") ?? "";
  return download(api, `${apiPath(device)}/timeline/export`, {
    ...narrowing(askedIn(query)),
    format,
  });
}

interface Asked {
  readonly search: string;
  readonly kind: string;
}

function askedIn(query: URLSearchParams) {
  return { search: query.get("search")?.trim() ?? "", kind: query.get("kind") ?? "" };
}

function narrowing({ search, kind }: Asked) {
  return { $search: search, $filter: kind && `kind eq ${quoted(kind)}` };
}

function eventTable(events: readonly Entity[]): Html {
  return table({
    id: "events",
    caption: "Events, the newest first",
    columns: ["What", "Kind", "When", "By"],
    rows: events.map((event) => [
      html`${text(event["title"])}${details(event["details"])}`,
      KIND_WORDS[event["kind"] as TimelineKind] ?? text(event["kind"]),
      time(event["eventDateTime"]),
      text(event["actor"]),
    ]),
  });
}

/** Changed fields in words, anything else as it is; folded, and opened without a script. */
function details(value: unknown): Html | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const fields = (value as Entity)["fields"];
  const lines = Array.isArray(fields)
    ? (fields as readonly Entity[]).map(
        ({ facet, path, before, after }) =>
          `${text(facet)}/${text(path)}: ${text(before) || "nothing"} → ${text(after) || "nothing"}`,
      )
    : Object.entries(value).map(([name, part]) => `${name}: ${text(part)}`);
  return html`<details><summary>Details</summary><pre>${lines.join("\n")}</pre></details>`;
}
