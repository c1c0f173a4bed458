import { address, choice, facts, pageLinks, state, table, text, time } from "./cells.ts";
import { allOf, type ConsoleApi, type Entity } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { type ShownSource, sourceApi, sourceFrame, sourcePath } from "./source-frame.ts";

const ROWS = "100";
/** What comes every hour and after every reading, and says that nothing is wrong. */
const ROUTINE = ["scan.ended", "digest.same"];

/** `/sources/{name}`: how it stands with a source, deletions that wait there, and what happened to it, the newest first. */
export async function sourcePage(
  api: ConsoleApi,
  source: ShownSource,
  query: URLSearchParams,
): Promise<Html> {
  const skipToken = query.get("page") ?? undefined;
  const shown = query.get("events") === "all" ? "all" : "";
  const [waiting, events] = await Promise.all([
    api.page(sourceApi(source, "/waitingDeletions"), {}),
    api.page(sourceApi(source, "/events"), {
      $filter: shown === "all" ? undefined : allOf(ROUTINE.map((each) => `event ne '${each}'`)),
      $top: ROWS,
      $skiptoken: skipToken,
    }),
  ]);
  const here = sourcePath(source);
  const first = address(here, { events: shown });
  const next = events.skipToken && address(here, { events: shown, page: events.skipToken });
  return sourceFrame(
    api,
    source,
    { tab: "" },
    html`${overview(source.entity)}
      <h3>Deletions that wait for an approval</h3>
      ${waitingTable(waiting.entities)}
      <h3>What happened to it</h3>
      ${eventFilter(here, shown)}
      ${eventTable(events.entities)}
      ${pageLinks(skipToken === undefined ? undefined : first, next)}`,
  );
}

function eventFilter(here: string, shown: string): Html {
  return html`<form class="asked" method="get" action="${here}" aria-label="Events">
      ${choice({
        ...{ name: "events", label: "Events", chosen: shown },
        values: [
          ["", `without ${ROUTINE.join(" and ")}, which say that all is well`],
          ["all", "all"],
        ],
      })}
      <button>Show</button>
    </form>`;
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
