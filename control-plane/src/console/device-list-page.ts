import { address, choice, pageLinks, table, text, time } from "./cells.ts";
import {
  ApiRefusal,
  allOf,
  begins,
  type ConsoleApi,
  type Entity,
  type EntityPage,
  quoted,
} from "./console-api.ts";
import { download, downloadLinks } from "./downloads.ts";
import { type Html, html } from "./html.ts";
import type { PageAnswer } from "./page.ts";
import { signedInPage } from "./page-frame.ts";

/** `/devices`: all managed devices, searched, filtered and paged as the API's list is. */

const PAGE_SIZES = ["50", "100", "200"];
const SELECTED = [
  ...["deviceName", "userPrincipalName", "operatingSystem", "osVersion", "isOnline"],
  ...["configurationManagerClientInformation", "lastSyncDateTime", "configurationManagerSite"],
].join(",");

const ORDERS = [
  ["deviceName", "Name"],
  ["deviceName desc", "Name, last letters first"],
  ["lastSyncDateTime desc", "Last seen, latest first"],
  ["lastSyncDateTime", "Last seen, longest ago first"],
] as const;

const FIELDS = [
  "name",
  "user",
  "serial",
  "os",
  "online",
  "site",
  "filter",
  "order",
  "top",
] as const;
type Asked = Readonly<Record<(typeof FIELDS)[number], string>>;

/** The page with its status: what was typed into the filter may be none. */
export async function deviceListPage(
  api: ConsoleApi,
  query: URLSearchParams,
): Promise<{ readonly status: number; readonly page: Html }> {
  const asked = askedIn(query);
  const [sites, found] = await Promise.all([siteNames(api), search(api, asked, query)]);
  const isRefused = found instanceof ApiRefusal;
  const result = isRefused
    ? html`<p class="bad" role="alert">${found.message}</p>${asked.filter !== "" && wholeFilter(asked) !== asked.filter ? html`<p>The whole filter was <code>${wholeFilter(asked)}</code></p>` : undefined}`
    : html`${resultOf(asked, query, found)}${downloadLinks(api, "/devices/export", asked)}`;
  const content = html`<h2>Devices</h2>${searchForm(asked, sites)}${result}`;
  return {
    status: isRefused ? found.status : 200,
    page: signedInPage({ title: "Devices", place: "/devices", session: api.session }, content),
  };
}

/** `/devices/export`: the devices that the page's form finds, as a file. */
export async function deviceListFile(api: ConsoleApi, query: URLSearchParams): Promise<PageAnswer> {
  const $filter = wholeFilter(askedIn(query));
  return download(api, "/managedDevices/export", { $filter, format: query.get("format") ?? "" });
}

function askedIn(query: URLSearchParams): Asked {
  const asked = Object.fromEntries(FIELDS.map((name) => [name, query.get(name)?.trim() ?? ""]));
  return asked as unknown as Asked;
}

async function search(
  api: ConsoleApi,
  asked: Asked,
  query: URLSearchParams,
): Promise<EntityPage | ApiRefusal> {
  const skipToken = query.get("page") ?? undefined;
  try {
    return await api.page("/managedDevices", {
      $filter: wholeFilter(asked),
      $select: SELECTED,
      $orderby: asked.order || ORDERS[0][0],
      $top: asked.top || PAGE_SIZES[0],
      $skiptoken: skipToken,
      // Counting reads the whole fleet: once for each search, not for each page.
      $count: skipToken === undefined ? "true" : undefined,
    });
  } catch (error) {
    if (error instanceof ApiRefusal && error.status < 500) return error;
    throw error;
  }
}

/** The fields of the form as the API's `$filter`, with what was typed as one. */
function filterOf({ name, user, serial, os, online, site, filter }: Asked): string {
  return allOf([
    begins("deviceName", name),
    begins("userPrincipalName", user),
    serial && `serialNumber eq ${quoted(serial)}`,
    os && `operatingSystem eq ${quoted(os)}`,
    online === "yes" && "isOnline eq true",
    online === "no" && "isOnline eq false",
    site && `configurationManagerSite eq ${quoted(site)}`,
    filter && `(${filter})`,
  ]);
}

/** Alone, what was typed is the whole filter, so that places in it are told as they were typed; else the whole is shown with the fault. */
function wholeFilter(asked: Asked): string {
  return filterOf({ ...asked, filter: "" }) === "" ? asked.filter : filterOf(asked);
}

async function siteNames(api: ConsoleApi): Promise<readonly string[]> {
  const { entities } = await api.page("/configurationManagerSites", { $select: "id", $top: "200" });
  return entities.map(({ id }) => text(id));
}

function searchForm(asked: Asked, sites: readonly string[]): Html {
  const field = (name: keyof Asked, label: string, hint = "") =>
    html`<label>${label} <input type="search" name="${name}" value="${asked[name]}" placeholder="${hint}" maxlength="256"></label>`;
  return html`<form class="asked" method="get" action="/devices" role="search" aria-label="Devices">
      ${field("name", "Name begins with", "PC or *part")}
      ${field("user", "User begins with", "anna@ or *part")}
      ${field("serial", "Serial number")}
      ${choice({
        ...{ name: "os", label: "Operating system", chosen: asked.os },
        values: [["", "any"], ...["Windows", "macOS", "Linux"].map((os) => [os, os] as const)],
      })}
      ${choice({
        ...{ name: "online", label: "Online", chosen: asked.online },
        values: [["", "yes or no"], ...["yes", "no"].map((word) => [word, word] as const)],
      })}
      ${choice({
        ...{ name: "site", label: "Site", chosen: asked.site },
        values: [["", "any"], ...sites.map((site) => [site, site] as const)],
      })}
      ${choice({ name: "order", label: "Order", chosen: asked.order, values: ORDERS })}
      ${choice({
        ...{ name: "top", label: "On a page", chosen: asked.top },
        values: PAGE_SIZES.map((size) => [size, size] as const),
      })}
      <label class="wide">Filter as in the API
        <input name="filter" value="${asked.filter}" maxlength="2000" spellcheck="false"
          placeholder="managementAgent eq 'configurationManagerClientMdm' and startswith(model,'Latitude')"></label>
      <button>Search</button> <a href="/devices">Show all</a>
    </form>`;
}

function resultOf(asked: Asked, query: URLSearchParams, found: EntityPage): Html {
  const count = found.count ?? Number(query.get("count") ?? Number.NaN);
  const isFirst = query.get("page") === null;
  const counted = Number.isSafeInteger(count) && count >= 0;
  const summary = counted
    ? `${count.toLocaleString("en")} ${count === 1 ? "device" : "devices"}`
    : undefined;
  const next =
    found.skipToken &&
    address("/devices", {
      ...asked,
      count: counted ? String(count) : undefined,
      page: found.skipToken,
    });
  const listed = table({
    id: "found",
    caption: "Devices",
    columns: ["Name", "User", "Operating system", "Client", "Online", "Last seen", "Site"],
    rows: found.entities.map(deviceRow),
  });
  return html`<p role="status">${summary ?? ""}${isFirst ? "" : ", a later page of them"}</p>
    ${found.entities.length === 0 ? html`<p class="quiet">No device matches.</p>` : listed}
    ${pageLinks(isFirst ? undefined : address("/devices", { ...asked }), next)}`;
}

function deviceRow(device: Entity) {
  const id = text(device["id"]);
  const client = device["configurationManagerClientInformation"] as Entity | null;
  return [
    html`<a href="/devices/${encodeURIComponent(id)}">${text(device["deviceName"]) || id}</a>`,
    text(device["userPrincipalName"]),
    `${text(device["operatingSystem"])} ${text(device["osVersion"])}`,
    text(client?.["clientVersion"]),
    online(device["isOnline"]),
    time(device["lastSyncDateTime"]),
    text(device["configurationManagerSite"]),
  ];
}

/** Whether a device is connected to its site now, as far as anybody says. */
export function online(value: unknown): Html {
  if (value === null || value === undefined) return html`<span class="quiet">not known</span>`;
  return value === true ? html`<span class="good">yes</span>` : html`<span>no</span>`;
}
