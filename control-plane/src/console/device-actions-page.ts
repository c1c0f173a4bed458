import { actionWords } from "../core/action-words.ts";
import { type DeviceActionState, isEnded } from "../core/device-action.ts";
import { isPermitted } from "../core/roles.ts";
import { address, pageLinks, table, text, time } from "./cells.ts";
import { type ConsoleApi, type Entity, quoted } from "./console-api.ts";
import { actionLinks, OFFERED_ACTIONS } from "./device-actions.ts";
import { apiPath, devicePage, pagePath, type ShownDevice } from "./device-frame.ts";
import { type Html, html } from "./html.ts";
import { operationPath } from "./operation-table.ts";
import { deviceState, errorCode, operationState, reason } from "./state-words.ts";

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
  const waiting = await waitingAmong(api, entities);
  const list = table({
    id: "asked",
    caption: "Actions, the newest first",
    columns: ["Action", "State", "Reason", "Asked by", "Asked at", "Last news", ""],
    rows: entities.map((each) =>
      row(device, each, {
        mayCancel: mayCancelAny || each["actor"] === api.session.userName,
        isWaiting: waiting.has(text(each["clientOperationId"])),
      }),
    ),
  });
  const content = html`${asked && html`<p class="note" role="status">${asked.words} was asked for. Load this page again to see how it goes on.</p>`}
    ${entities.length === 0 ? html`<p class="quiet">Nothing was asked of this device.</p>` : list}
    ${pageLinks(skipToken === undefined ? undefined : here, next && address(here, { page: next }))}
    ${actionLinks(api, device, "Ask for another")}`;
  return devicePage(api, device, { tab: "/actions" }, content);
}

/** Which of these wait for approval: the device itself is queued by then, as it is without. */
async function waitingAmong(
  api: ConsoleApi,
  states: readonly Entity[],
): Promise<ReadonlySet<string>> {
  const queued = states.filter((each) => each["state"] === "queued");
  if (queued.length === 0) return new Set();
  const ids = queued.map((each) => `id eq ${quoted(text(each["clientOperationId"]))}`);
  const { entities } = await api.page("/configurationManagerClientOperations", {
    $filter: `state eq 'waitingForApproval' and (${ids.join(" or ")})`,
    $select: "id",
  });
  return new Set(entities.map(({ id }) => text(id)));
}

function row(
  device: ShownDevice,
  each: Entity,
  of: { readonly mayCancel: boolean; readonly isWaiting: boolean },
) {
  const word = text(each["state"]);
  const action = text(each["action"]);
  const kind = action === "runQuery" ? "query" : "";
  const path = operationPath(
    { name: text(each["configurationManagerSite"]) },
    { id: each["clientOperationId"], kind },
  );
  return [
    html`<a href="${path}">${actionWords(action)}</a><br><small><code>${action}</code></small>`,
    of.isWaiting ? operationState("waitingForApproval") : deviceState(word, action),
    html`${reason(each["reason"])}${errorCode(each["errorCode"])}`,
    text(each["actor"]),
    time(each["createdDateTime"]),
    time(each["stateDateTime"]),
    of.mayCancel && !isEnded(word as DeviceActionState) ? cancelForm(device, each) : undefined,
  ];
}

function cancelForm(device: ShownDevice, operation: Entity): Html {
  const id = encodeURIComponent(text(operation["clientOperationId"]));
  const label = `Cancel ${actionWords(text(operation["action"]))} on ${device.name}`;
  return html`<form method="post" action="${pagePath(device, `/actions/${id}/cancel`)}">
      <button aria-label="${label}">Cancel</button>
    </form>`;
}
