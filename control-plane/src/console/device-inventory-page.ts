import { address, pageLinks, table, text, time } from "./cells.ts";
import type { ConsoleApi, Entity } from "./console-api.ts";
import {
  apiPath,
  devicePage,
  pagePath,
  type ShownDevice,
  timeField,
  typedTime,
} from "./device-frame.ts";
import { type Html, html } from "./html.ts";

/** `/devices/{id}/inventory`, `/inventory/{class}` and `/compare`: a device's classes now and at any time, and how they differ. */

/** Own limits of one page; the API has the rest. */
const MAX_ROWS = 500;
const MAX_COLUMNS = 60;
const STATES = "20";

/** All classes, now or as of a time. */
export async function deviceInventoryPage(
  api: ConsoleApi,
  device: ShownDevice,
  query: URLSearchParams,
): Promise<Html> {
  const at = typedTime(query, "at");
  const { entities } = await api.page(`${apiPath(device)}/resourceExplorer`, { at });
  const list = table({
    id: "classes",
    caption: "Classes",
    columns: ["Class", "Rows", "Unchanged since", "Until"],
    rows: entities.map((each) => [
      html`<a href="${address(classPath(device, text(each["id"])), { at })}">${text(each["id"])}</a>`,
      text(each["rowCount"]),
      time(each["sinceDateTime"]),
      time(each["untilDateTime"]) || "now",
    ]),
  });
  const content = html`${asOfForm(pagePath(device, "/inventory"), at)}
    <p class="quiet">Classes go by their names at the source. <code>identity</code>, <code>stable</code>, <code>volatile</code>
      and the like are what the source says of the device beside them, by how often it changes.</p>
    ${entities.length === 0 ? html`<p class="quiet">There was nothing of this device then.</p>` : list}`;
  return devicePage(api, device, { tab: "/inventory" }, content);
}

function classPath(device: ShownDevice, name: string): string {
  return pagePath(device, `/inventory/${encodeURIComponent(name)}`);
}

function asOfForm(action: string, at: string): Html {
  return html`<form class="asked" method="get" action="${action}" aria-label="As of a time">
      ${timeField("at", "As of", at)} <button>Show</button>
      ${at && html`<a href="${action}">As it is now</a>`}
    </form>
    ${at && html`<p class="note" role="status">As of ${time(at)}, by the clock of the bridge.</p>`}`;
}

/** Rows of one class, and when it was what. */
export async function deviceClassPage(
  api: ConsoleApi,
  device: ShownDevice,
  of: { readonly name: string; readonly query: URLSearchParams },
): Promise<Html> {
  const at = typedTime(of.query, "at");
  const path = `${apiPath(device)}/resourceExplorer/${encodeURIComponent(of.name)}`;
  const skipToken = of.query.get("page") ?? undefined;
  const [shown, history] = await Promise.all([
    api.entity(path, at === "" ? {} : { at }),
    api.page(`${path}/history`, { $top: STATES, $skiptoken: skipToken }),
  ]);
  const here = classPath(device, of.name);
  const next = history.skipToken && address(here, { at, page: history.skipToken });
  const content = html`${asOfForm(here, at)}
    ${rowsOf((shown["value"] ?? []) as readonly unknown[])}
    <h3>Its versions</h3>
    ${states(here, history.entities)}
    ${pageLinks(skipToken === undefined ? undefined : address(here, { at }), next)}`;
  return devicePage(api, device, { tab: "/inventory", heading: of.name }, content);
}

function states(here: string, history: readonly Entity[]): Html {
  return table({
    id: "states",
    caption: "Former states, the newest first",
    columns: ["Since", "Until"],
    rows: history.map((each) => [
      html`<a href="${address(here, { at: text(each["sinceDateTime"]) })}">${time(each["sinceDateTime"])}</a>`,
      each["untilDateTime"] === null ? "now" : time(each["untilDateTime"]),
    ]),
  });
}

/** What has members has a column for each; anything else is shown as it is. */
function rowsOf(rows: readonly unknown[]): Html {
  const shown = rows.slice(0, MAX_ROWS);
  const areObjects = shown.every((row) => typeof row === "object" && row !== null);
  const names = areObjects ? [...new Set(shown.flatMap((row) => Object.keys(row as Entity)))] : [];
  const columns = names.slice(0, MAX_COLUMNS);
  const left = [
    rows.length > MAX_ROWS && `${rows.length - MAX_ROWS} rows`,
    names.length > MAX_COLUMNS && `${names.length - MAX_COLUMNS} columns`,
  ].filter((part) => part !== false);
  const cut =
    left.length > 0 && html`<p class="note">${left.join(" and ")} more are in the API.</p>`;
  const [only] = shown;
  if (rows.length === 1 && areObjects && only !== undefined) {
    return html`${table({
      id: "rows",
      caption: "Values",
      columns: ["Property", "Value"],
      rows: columns.map((name) => [name, text((only as Entity)[name])]),
    })}${cut || undefined}`;
  }
  return html`<p>${rows.length} ${rows.length === 1 ? "row" : "rows"}</p>${table({
    id: "rows",
    caption: "Rows",
    columns: areObjects && columns.length > 0 ? columns : ["Value"],
    rows: shown.map((row) =>
      areObjects && columns.length > 0
        ? columns.map((name) => text((row as Entity)[name]))
        : [text(row)],
    ),
  })}${cut || undefined}`;
}

/** How the whole record differs between two times. */
export async function deviceComparePage(
  api: ConsoleApi,
  device: ShownDevice,
  query: URLSearchParams,
): Promise<Html> {
  const [from, to] = [typedTime(query, "from"), typedTime(query, "to")];
  const isVolatile = query.get("volatile") === "true";
  const checked = isVolatile ? html` checked` : undefined;
  const form = html`<form class="asked" method="get" action="${pagePath(device, "/compare")}" aria-label="Two times">
      ${timeField("from", "From", from, true)} ${timeField("to", "To (now, if empty)", to)}
      <label class="flag"><input type="checkbox" name="volatile" value="true"${checked}>
        also what changes with every contact</label>
      <button>Compare</button>
    </form>`;
  const found = from === "" ? undefined : await differences(api, device, { from, to, isVolatile });
  return devicePage(api, device, { tab: "/compare" }, html`${form}${found}`);
}

async function differences(
  api: ConsoleApi,
  device: ShownDevice,
  of: { readonly from: string; readonly to: string; readonly isVolatile: boolean },
): Promise<Html> {
  const options: Record<string, string> = { from: of.from };
  if (of.to !== "") options["to"] = of.to;
  if (of.isVolatile) options["volatile"] = "true";
  const found = await api.entity(`${apiPath(device)}/resourceExplorer/compare`, options);
  const fields = (found["value"] ?? []) as readonly Entity[];
  const cut =
    found["isTruncated"] === true && html`<p class="note">There are more differences.</p>`;
  const between = html`<p role="status">${fields.length} ${fields.length === 1 ? "difference" : "differences"} between ${time(found["fromDateTime"])} and ${time(found["toDateTime"])}</p>`;
  if (fields.length === 0) return between;
  return html`${between}${table({
    id: "differences",
    caption: "Differences",
    columns: ["Class", "Field", "Before", "After"],
    rows: fields.map((field) => [
      text(field["class"]),
      html`<code>${text(field["path"])}</code>`,
      text(field["before"]),
      text(field["after"]),
    ]),
  })}${cut || undefined}`;
}
