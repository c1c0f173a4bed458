import { actionWords } from "../core/action-words.ts";
import { isPermitted } from "../core/roles.ts";
import { address, facts, pageLinks, state, table, text, time } from "./cells.ts";
import { ApiRefusal, type ConsoleApi, type Entity } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { operationPath, operationTable, subject } from "./operation-table.ts";
import { type ShownSource, sourceApi, sourceFrame, sourcePath } from "./source-frame.ts";
import {
  approvalNote,
  counts,
  deviceState,
  errorCode,
  operationState,
  reason,
  reasonBeside,
} from "./state-words.ts";
import { targetWords } from "./target.ts";

/** `/sources/{name}/actions` and below: what was asked of a site, and how each device fares with it. */

const ROWS = "50";

export async function operationsPage(
  api: ConsoleApi,
  source: ShownSource,
  query: URLSearchParams,
): Promise<Html> {
  const page = query.get("page") ?? undefined;
  const only = query.get("state") === "waiting";
  const found = await api.page(sourceApi(source, "/clientOperations"), {
    $filter: only ? "state eq 'waitingForApproval'" : undefined,
    $orderby: "createdDateTime desc",
    $top: ROWS,
    $skiptoken: page,
  });
  const here = sourcePath(source, "/actions");
  const kept = { state: only ? "waiting" : undefined };
  const next = found.skipToken && address(here, { ...kept, page: found.skipToken });
  const list = operationTable(source, {
    ...{ id: "operations", caption: "Actions, the newest first", operations: found.entities },
  });
  const other = only
    ? html`<a href="${here}">All actions</a>`
    : html`<a href="${address(here, { state: "waiting" })}">Only those that wait for approval</a>`;
  const content = html`<p>${other}</p>
    ${found.entities.length === 0 ? html`<p class="quiet">None.</p>` : list}
    ${pageLinks(page === undefined ? undefined : address(here, kept), next)}`;
  return sourceFrame(api, source, { tab: "/actions" }, content);
}

export async function operationPage(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly query: URLSearchParams },
): Promise<Html> {
  const path = sourceApi(source, `/clientOperations/${encodeURIComponent(of.id)}`);
  const operation = await api.entity(path);
  const isEnded = operation["endedDateTime"] !== null;
  const here = operationPath(source, operation);
  const content = html`${approvalNote(operation)}
    ${facts([
      ["On", targetWords(source, operation["target"])],
      ["State", operationState(operation["state"])],
      ["Reason", reasonBeside(operation)],
      ["Devices", counts(operation["deviceCounts"])],
      ["As the site counts them", siteCounts(operation["reportedDeviceCounts"])],
      ["Asked by", text(operation["actor"])],
      ["Asked at", time(operation["createdDateTime"])],
      ["Devices may take it up until", time(operation["expirationDateTime"])],
      ["Ended", time(operation["endedDateTime"])],
    ])}
    ${cancelForm(api, source, operation)}
    ${isEnded ? undefined : html`<p><a href="${here}">Load this page again</a> to see how it goes on.</p>`}
    <h3>Each device</h3>
    ${await deviceStates(api, source, { path, caption: "Devices", page: of.query.get("page") ?? undefined, here, isScript: operation["kind"] === "script" })}`;
  const named = subject(source, operation);
  const heading = actionWords(text(operation["action"]));
  return sourceFrame(
    api,
    source,
    { tab: "/actions", heading },
    html`${named && html`<p>${named}</p>`}${content}`,
  );
}

function siteCounts(value: unknown): Html | undefined {
  const isEmpty = Object.keys((value ?? {}) as object).length === 0;
  return isEmpty ? undefined : counts(value);
}

/** Devices of an operation. What scripts said is for those who may run them. */
export async function deviceStates(
  api: ConsoleApi,
  source: ShownSource,
  of: {
    readonly path: string;
    readonly caption: string;
    readonly $filter?: string;
    readonly page?: string | undefined;
    readonly here?: string;
    readonly isScript?: boolean;
  },
): Promise<Html> {
  const hasOutput = of.isScript === true && isPermitted(api.session.roles, "actions.run");
  const found = await api.page(`${of.path}/${hasOutput ? "scriptResults" : "deviceStates"}`, {
    $filter: of.$filter,
    $orderby: "resourceId",
    $top: ROWS,
    $skiptoken: of.page,
  });
  if (found.entities.length === 0) {
    return of.$filter === undefined
      ? html`<p class="quiet">${source.name} has named no device of it yet.</p>`
      : html``;
  }
  const results = hasOutput ? ["Exit code", "Output"] : ["Rows"];
  const list = table({
    id: "devices",
    caption: of.caption,
    columns: ["Device", "State", "Reason", ...results, "Last news"],
    rows: found.entities.map((each) => [
      deviceName(each),
      html`${deviceState(each["state"], each["action"])}${each["isTruncated"] === true ? html`<br>${state("warning", "truncated")}` : undefined}`,
      html`${reason(each["reason"])}${errorCode(each["errorCode"])}`,
      ...(hasOutput
        ? [text(each["exitCode"]), html`<pre>${text(each["output"])}</pre>`]
        : [text(each["rowCount"])]),
      time(each["stateDateTime"]),
    ]),
  });
  const { here } = of;
  const caption = of.$filter === undefined ? undefined : html`<h3>${of.caption}</h3>`;
  if (here === undefined) {
    const more =
      found.skipToken === undefined
        ? undefined
        : html`<p class="quiet">These are the first ${ROWS}; <code>deviceStates</code> of the API has all.</p>`;
    return html`${caption}${list}${more}`;
  }
  const next = found.skipToken && address(here, { page: found.skipToken });
  return html`${caption}${list}${pageLinks(of.page === undefined ? undefined : here, next)}`;
}

function deviceName(each: Entity): Html | string {
  const name = text(each["deviceName"]) || text(each["resourceId"]);
  const id = each["managedDeviceId"];
  return typeof id === "string" ? html`<a href="/devices/${id}">${name}</a>` : name;
}

/** Whoever asked may cancel, and those who may cancel any. */
export function cancelForm(
  api: ConsoleApi,
  source: ShownSource,
  operation: Entity,
): Html | undefined {
  const { roles, userName } = api.session;
  const may = isPermitted(roles, "commands.cancel") || operation["actor"] === userName;
  if (!may || operation["endedDateTime"] !== null) return undefined;
  const id = encodeURIComponent(text(operation["id"]));
  return html`<form class="until-end" method="post" action="${sourcePath(source, `/actions/${id}/cancel`)}"><button>Cancel it</button></form>`;
}

/** Asks the API to cancel, and answers where the operation is shown. */
export async function cancelOperation(
  api: ConsoleApi,
  source: ShownSource,
  id: string,
): Promise<string> {
  const path = sourceApi(source, `/clientOperations/${encodeURIComponent(id)}`);
  const operation = await api.post(`${path}/cancel`, undefined);
  if (operation["id"] === undefined) throw new ApiRefusal(404, "not-found", "No such action");
  return operationPath(source, operation);
}
