import { type DeviceActionState, isEnded } from "../core/device-action.ts";
import { isPermitted } from "../core/roles.ts";
import { address, pageLinks, state, table, text, time } from "./cells.ts";
import type { ConsoleApi, Entity } from "./console-api.ts";
import { actionLinks, OFFERED_ACTIONS } from "./device-actions.ts";
import { apiPath, devicePage, pagePath, type ShownDevice } from "./device-frame.ts";
import { type Html, html } from "./html.ts";

/** `/devices/{id}/actions`: what was asked of a device, who asked, and what became of it. */

const ROWS = "50";

export async function deviceActionsPage(
  api: ConsoleApi,
  device: ShownDevice,
  query: URLSearchParams,
): Promise<Html> {
  const skipToken = query.get("page") ?? undefined;
  const { entities, skipToken: next } = await api.page(`${apiPath(device)}/clientOperations`, {
    $orderby: "createdDateTime desc",
    $top: ROWS,
    $skiptoken: skipToken,
  });
  const here = pagePath(device, "/actions");
  const asked = OFFERED_ACTIONS.find(({ name }) => name === query.get("asked"));
  const mayCancelAny = isPermitted(api.session.roles, "commands.cancel");
  const list = table({
    id: "asked",
    caption: "Actions, the newest first",
    columns: ["Action", "State", "Reason", "Asked by", "Asked at", "Last news", ""],
    rows: entities.map((each) =>
      row(device, each, mayCancelAny || each["actor"] === api.session.userName),
    ),
  });
  const content = html`${asked && html`<p class="note" role="status">${asked.words} was asked for. Load this page again to see how it goes on.</p>`}
    ${entities.length === 0 ? html`<p class="quiet">Nothing was asked of this device.</p>` : list}
    ${pageLinks(skipToken === undefined ? undefined : here, next && address(here, { page: next }))}
    ${actionLinks(api, device, "Ask for another")}`;
  return devicePage(api, device, { tab: "/actions" }, content);
}

function row(device: ShownDevice, operation: Entity, mayCancel: boolean) {
  const word = text(operation["state"]);
  const errorCode = text(operation["errorCode"]);
  return [
    text(operation["action"]),
    state(word),
    html`${reason(operation)}${errorCode !== "" && errorCode !== "0" ? html` <code>${errorCode}</code>` : undefined}`,
    text(operation["actor"]),
    time(operation["createdDateTime"]),
    time(operation["stateDateTime"]),
    mayCancel && !isEnded(word as DeviceActionState) ? cancelForm(device, operation) : undefined,
  ];
}

/** Command lines stand in backticks. */
function reason(operation: Entity): Html {
  const parts = text(operation["reason"]).split("`");
  return html`${parts.map((part, n) => (n % 2 === 0 ? html`${part}` : html`<code>${part}</code>`))}`;
}

function cancelForm(device: ShownDevice, operation: Entity): Html {
  const id = encodeURIComponent(text(operation["clientOperationId"]));
  const label = `Cancel ${text(operation["action"])}`;
  return html`<form method="post" action="${pagePath(device, `/actions/${id}/cancel`)}">
      <button aria-label="${label}">Cancel</button>
    </form>`;
}
