import { state, table, text } from "./cells.ts";
import type { ConsoleApi, Entity } from "./console-api.ts";
import { apiPath, devicePage, pagePath, requireOfSite, type ShownDevice } from "./device-frame.ts";
import { type Html, type HtmlValue, html } from "./html.ts";

/** `/devices/{id}/updates`: the software updates that the device's site judges it by; first those that it lacks. */

/** Own limit on a page; the API has all. */
const ROWS = 500;

const STATES: Readonly<Record<string, Html>> = {
  required: html`<span class="bad">required, and not installed</span>`,
  unknown: state("unknown", "unknown"),
  installed: state("installed"),
  notApplicable: state("notApplicable", "not applicable"),
};
const ORDER = Object.keys(STATES);

export async function deviceUpdatesPage(api: ConsoleApi, device: ShownDevice): Promise<Html> {
  requireOfSite(device, "software updates");
  const { entities } = await api.page(`${apiPath(device)}/softwareUpdateStates`, {});
  const updates = entities.toSorted((one, other) => rank(one) - rank(other));
  const required = updates.filter((each) => each["state"] === "required").length;
  const list = table({
    id: "updates",
    caption: "Software updates",
    columns: ["Software update", "State", "Article", "CI_ID"],
    rows: updates
      .slice(0, ROWS)
      .map((each) => [
        text(each["displayName"]) || "not known by name",
        stateOf(each),
        text(each["articleId"]),
        html`<code>${text(each["key"])}</code>`,
      ]),
  });
  const more =
    updates.length > ROWS
      ? html`<p class="quiet">These are the first ${ROWS}; <code>softwareUpdateStates</code> of the API has all.</p>`
      : undefined;
  const content =
    updates.length === 0
      ? html`<p class="quiet">Nothing is known of its software updates: there are none, or they are not read.</p>`
      : html`<p>${updates.length} software updates, ${required} of them required and not installed.</p>${list}${more}
        <p class="quiet">Since when it is so, its <a href="${pagePath(device, "/inventory/updateCompliance")}">inventory</a> says.</p>`;
  return devicePage(api, device, { tab: "/updates" }, content);
}

/** Those whose installation failed go before all others. */
function rank(update: Entity): number {
  return update["complianceState"] === "error" ? -1 : ORDER.indexOf(text(update["state"]));
}

/** With how far its installation is, where that says more than the state; an unknown number stands as it is. */
function stateOf(update: Entity): HtmlValue {
  const name = text(update["state"]);
  const isUnknown = name === "unknown" && update["status"] !== null;
  const shown = isUnknown ? text(update["stateDescription"]) : (STATES[name] ?? name);
  const enforcement = text(update["enforcementStateDescription"]);
  if (enforcement === "" || name === "installed" || name === "notApplicable") return html`${shown}`;
  return html`${shown}: ${enforcement}`;
}
