import { address, text } from "./cells.ts";
import { ApiRefusal, type ConsoleApi, type Entity } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { signedInPage } from "./page-frame.ts";

/** What the pages of one device have in common. */

/** A device that a page is about. */
export interface ShownDevice {
  readonly id: string;
  readonly name: string;
  /** As the API answers it. */
  readonly entity: Entity;
  /** Whether a source tells of it; what only administrators speak of has no inventory. */
  readonly isSynced: boolean;
}

/** In the API it stands in the place of an id where the whole list is asked for; no device has it. */
const NO_DEVICE = "export";

/** The device that the path names; throws `ApiRefusal`. */
export async function shownDevice(api: ConsoleApi, wantedId: string): Promise<ShownDevice> {
  if (wantedId === NO_DEVICE) throw new ApiRefusal(404, "not-found", "There is no such device");
  const entity = await api.entity(`/managedDevices/${encodeURIComponent(wantedId)}`);
  const id = text(entity["id"]);
  const isSynced = typeof entity["syncedDeviceId"] === "string";
  return { id, name: text(entity["deviceName"]) || id, entity, isSynced };
}

/** Whether a Configuration Manager site manages it, so that actions reach it. */
export function isOfSite({ entity, isSynced }: ShownDevice): boolean {
  return isSynced && entity["managementAgent"] !== "unknown";
}

/** Throws `ApiRefusal` where no site manages the device, and so none has `what` of it. */
export function requireOfSite(device: ShownDevice, what: string): void {
  if (isOfSite(device)) return;
  const words = `${device.name} has no Configuration Manager client: no site has ${what} of it`;
  throw new ApiRefusal(404, "not-found", words);
}

/** Path of the device in the API, and of its page. */
export function apiPath({ id }: ShownDevice): string {
  return `/managedDevices/${encodeURIComponent(id)}`;
}

export function pagePath({ id }: ShownDevice, below = ""): string {
  return `/devices/${encodeURIComponent(id)}${below}`;
}

const TABS = [
  ["", "Overview"],
  ["/collections", "Collections"],
  ["/applications", "Applications"],
  ["/updates", "Updates"],
  ["/inventory", "Inventory"],
  ["/compare", "Compare"],
  ["/timeline", "Timeline"],
  ["/actions", "Actions"],
] as const;
const OF_CLIENTS: readonly string[] = ["/applications", "/updates"];

export function devicePage(
  api: ConsoleApi,
  device: ShownDevice,
  of: { readonly tab: (typeof TABS)[number][0]; readonly heading?: string },
  content: Html,
): Html {
  const hasClient = isOfSite(device);
  const shown = TABS.filter(
    ([below]) => below === "" || (device.isSynced && (hasClient || !OF_CLIENTS.includes(below))),
  );
  const tabs = shown.map(([below, name]) => {
    const current = below === of.tab ? html` aria-current="page"` : undefined;
    return html`<a href="${pagePath(device, below)}"${current}>${name}</a>`;
  });
  const word = TABS.find(([below]) => below === of.tab)?.[1] ?? "";
  return signedInPage(
    { title: `${device.name}: ${of.heading ?? word}`, place: "/devices", session: api.session },
    html`<p><a href="${address("/devices", {})}">Devices</a></p>
      <h2>${device.name}</h2>
      <nav class="tabs" aria-label="This device">${tabs}</nav>
      <h3>${of.heading ?? word}</h3>
      ${content}`,
  );
}

const TYPED_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?)?$/;

/** A time out of a field, which has no zone: all times of the pages are UTC. Else as it is, for the API to judge. */
export function typedTime(query: URLSearchParams, name: string): string {
  const typed = query.get(name)?.trim() ?? "";
  return TYPED_TIME.test(typed) && typed.includes("T") ? `${typed}Z` : typed;
}

/** A field for a time, with the one that was asked for. */
export function timeField(name: string, label: string, chosen: string, isNeeded = false): Html {
  const value = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(chosen)
    ? chosen.slice(0, 19).replace("Z", "")
    : "";
  const needed = isNeeded ? html` required` : undefined;
  return html`<label>${label}, UTC <input type="datetime-local" step="1" name="${name}" value="${value}"${needed}></label>`;
}
