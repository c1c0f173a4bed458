import { address, facts, pageLinks, state, table, text, time } from "./cells.ts";
import type { ConsoleApi, Entity } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { signedInPage } from "./page-frame.ts";

const ROWS = "100";

/** `/sources/{name}`: how it stands with a source, deletions that wait there, and what happened to it, the newest first. */
export async function sourcePage(
  api: ConsoleApi,
  name: string,
  query: URLSearchParams,
): Promise<Html> {
  const path = `/configurationManagerSites/${encodeURIComponent(name)}`;
  const skipToken = query.get("page") ?? undefined;
  const [source, waiting, events] = await Promise.all([
    api.entity(path),
    api.page(`${path}/waitingDeletions`, {}),
    api.page(`${path}/events`, { $top: ROWS, $skiptoken: skipToken }),
  ]);
  const here = `/sources/${encodeURIComponent(name)}`;
  const next = events.skipToken && address(here, { page: events.skipToken });
  return signedInPage(
    { title: `Source ${name}`, place: "/", session: api.session },
    html`<h2>${text(source["displayName"])}</h2>
      ${overview(source)}
      <h3>Deletions that wait for an approval</h3>
      ${waitingTable(waiting.entities)}
      <h3>What happened to it</h3>
      ${eventTable(events.entities)}
      ${pageLinks(skipToken === undefined ? undefined : here, next)}`,
  );
}

function overview(source: Entity): Html {
  const counts = (source["counts"] ?? {}) as Entity;
  const kinds = Object.entries(counts).map(([kind, count]) => `${kind}: ${text(count)}`);
  const reader = text(source["leaseHolderDisplayName"]);
  return facts([
    ["Type", text(source["sourceType"])],
    ["Read by", source["isRead"] === true ? reader : html`<span class="bad">nobody now</span>`],
    ["Last news", time(source["lastEntryDateTime"])],
    ["Records", kinds.join(", ")],
    ["Refused records", text(source["refusedRecords"])],
    ["Room", room(source)],
  ]);
}

/** How full it is; over its limits nothing new is stored of it. */
function room(source: Entity): Html {
  const quota = (source["quota"] ?? {}) as Entity;
  const number = (name: string) => Number(quota[name] ?? 0).toLocaleString("en");
  const megabytes = (name: string) =>
    Math.ceil(Number(quota[name] ?? 0) / 1_000_000).toLocaleString("en");
  const used = html`${number("records")} of ${number("maxRecords")} records,
    ${megabytes("octets")} of ${megabytes("maxOctets")} MB`;
  if (source["isOverQuota"] !== true) return used;
  return html`${used}<br><strong class="bad">over its limits since ${time(quota["overQuotaSinceDateTime"])}</strong>:
    ${number("refusedCount")} refused`;
}

function waitingTable(kinds: readonly Entity[]): Html {
  if (kinds.length === 0) return html`<p class="quiet">None.</p>`;
  return html`${table({
    id: "waiting",
    caption: "Deletions that wait for an approval",
    columns: ["Kind", "How many", "Since", "The first of them"],
    rows: kinds.map((each) => [
      text(each["kind"]),
      html`${text(each["waitingCount"])} of ${text(each["recordCount"])}${
        each["approvedDateTime"] === null
          ? undefined
          : html`<br>${state("approved")} ${time(each["approvedDateTime"])}`
      }`,
      time(each["sinceDateTime"]),
      recordList(each),
    ]),
  })}
  <p>They are approved at the bridge, with <code>comgmt-bridge deletions approve</code>.</p>`;
}

function recordList({ kind, records, waitingCount }: Entity): Html {
  const first = (records ?? []) as readonly Entity[];
  const more = Number(waitingCount) - first.length;
  return html`<ul>${first.map((record) => {
    const name = text(record["displayName"]) || "without a name";
    const id = text(record["id"]);
    const shown =
      kind === "device" && id !== "" ? html`<a href="/devices/${id}">${name}</a>` : name;
    return html`<li>${shown} <code>${text(record["key"])}</code></li>`;
  })}</ul>${more > 0 ? `and ${more} more` : ""}`;
}

function eventTable(events: readonly Entity[]): Html {
  if (events.length === 0) return html`<p class="quiet">Nothing yet.</p>`;
  return table({
    id: "events",
    caption: "Events, the newest first",
    columns: ["Event", "When", "Kind", "Noted by", "What"],
    rows: events.map((event) => [
      html`<code>${text(event["event"])}</code>`,
      time(event["eventDateTime"]),
      text(event["kind"]),
      text(event["side"]),
      text(event["message"]),
    ]),
  });
}
