import { APPLICATION_ACTIONS } from "@isthmus/shared/link/site-messages";
import { actionWords } from "../core/action-words.ts";
import { isPermitted } from "../core/roles.ts";
import { APPLICATION_WORDS, applicationPath } from "./application-pages.ts";
import { address, pageLinks, table, text, time } from "./cells.ts";
import { allOf, begins, type ConsoleApi, type Entity, quoted } from "./console-api.ts";
import { apiPath, devicePage, pagePath, type ShownDevice } from "./device-frame.ts";
import { download, downloadLinks } from "./downloads.ts";
import { type Html, html } from "./html.ts";
import { operationPath } from "./operation-table.ts";
import type { PageAnswer } from "./page.ts";
import { applicationState, deviceState } from "./state-words.ts";

/** `/devices/{id}/applications`: the applications of the device's site, and what became on it of those that were asked for here. */

const ROWS = "50";
/** Looked at for the newest of each application: a filter has 64 terms at most. */
const ACTIONS = "60";

export async function deviceApplicationsPage(
  api: ConsoleApi,
  device: ShownDevice,
  query: URLSearchParams,
): Promise<Html> {
  const source = { name: text(device.entity["configurationManagerSite"]) };
  const name = query.get("name")?.trim() ?? "";
  const skipToken = query.get("page") ?? undefined;
  const [found, newest, states] = await Promise.all([
    api.page("/configurationManagerApplications", {
      $filter: allOf([
        `configurationManagerSite eq ${quoted(source.name)}`,
        begins("displayName", name),
      ]),
      $orderby: "displayName",
      $top: ROWS,
      $skiptoken: skipToken,
    }),
    newestByApplication(api, device),
    api.page(`${apiPath(device)}/applicationStates`, {}),
  ]);
  const may = isPermitted(api.session.roles, "actions.run");
  const here = pagePath(device, "/applications");
  const list = table({
    id: "applications",
    caption: "Applications",
    columns: ["Application", "Version", "Deployed", "Newest action here", ...(may ? ["Act"] : [])],
    rows: found.entities.map((each) => [
      html`<a href="${applicationPath(source, each)}">${text(each["displayName"])}</a>`,
      text(each["softwareVersion"]),
      each["isDeployed"] === true ? "yes" : "no",
      outcome(source, newest.get(text(each["id"]))),
      ...(may ? [links(source, device, each)] : []),
    ]),
  });
  const next = found.skipToken && address(here, { name, page: found.skipToken });
  const content = html`${deployedTable(api, device, { states: states.entities, here })}
    <h4>All applications</h4>
    <form class="asked" method="get" action="${here}" role="search" aria-label="Applications">
      <label>Name begins with <input type="search" name="name" value="${name}" placeholder="A or *part" maxlength="256"></label>
      <button>Search</button>
    </form>
    <p class="quiet">All applications of ${source.name}; those that are deployed to the device stand above with their states. What is
      installed at all is in the <a href="${pagePath(device, "/inventory")}">inventory</a>.</p>
    ${found.entities.length === 0 ? html`<p class="quiet">None.</p>` : list}
    ${pageLinks(skipToken === undefined ? undefined : address(here, { name }), next)}`;
  return devicePage(api, device, { tab: "/applications" }, content);
}

/** `/devices/{id}/applications/export`: their states, as a file. */
export async function deviceApplicationsFile(
  api: ConsoleApi,
  device: ShownDevice,
  query: URLSearchParams,
): Promise<PageAnswer> {
  const format = query.get("format") ?? "";
  return download(api, `${apiPath(device)}/applicationStates/export`, { format });
}

/** What the site says of the applications that are deployed to the device. */
function deployedTable(
  api: ConsoleApi,
  device: ShownDevice,
  { states, here }: { readonly states: readonly Entity[]; readonly here: string },
): Html {
  if (states.length === 0) {
    return html`<p class="quiet">Nothing is known of applications that are deployed to this device: there are none, or they are not read.</p>`;
  }
  const list = table({
    id: "states",
    caption: "Applications that are deployed to this device",
    columns: ["Application", "State", "Purpose", "Deployment type", "For"],
    rows: states.map((each) => [
      html`<a href="${address(here, { name: text(each["displayName"]) })}">${text(each["displayName"])}</a>`,
      html`${applicationState(each["state"])}${stateNote(each)}`,
      text(each["deploymentIntent"]),
      text(each["deploymentTypeName"]),
      text(each["userName"]),
    ]),
  });
  const since = time(states[0]?.["sinceDateTime"]);
  return html`<h4>Deployed to this device</h4>${list}
    <p class="quiet">As of ${since}; when each changed is in the
      <a href="${address(pagePath(device, "/timeline"), { kind: "application.changed" })}">timeline</a>.
      The site tells no state “install requested”: what was asked for from here stands below, as the newest action.</p>
    ${downloadLinks(api, `${here}/export`)}`;
}

/** What failed, and what to do; of others what the client waits for, by its number where nobody knows what that means. */
function stateNote(state: Entity): Html | undefined {
  const code = text(state["errorCode"]);
  if (code !== "") {
    return html`<br><small><code>${code}</code> ${text(state["errorDescription"])}; ${text(state["remedy"])}</small>`;
  }
  const name = text(state["state"]);
  const number = text(state["enforcementState"]);
  const words =
    text(state["enforcementStateDescription"]) || (number && `EnforcementState ${number}`);
  const says = ["installing", "unknown"].includes(name) && words !== "" && words !== name;
  return says ? html`<br><small>${words}</small>` : undefined;
}

interface Newest {
  readonly operation: Entity;
  readonly state: Entity;
}

/** The newest action on the device of each application, by the application's id. */
async function newestByApplication(
  api: ConsoleApi,
  device: ShownDevice,
): Promise<ReadonlyMap<string, Newest>> {
  const kinds = APPLICATION_ACTIONS.map((action) => `action eq '${action}Application'`);
  const { entities: states } = await api.page(`${apiPath(device)}/clientOperations`, {
    $filter: `(${kinds.join(" or ")})`,
    $orderby: "createdDateTime desc",
    $top: ACTIONS,
  });
  if (states.length === 0) return new Map();
  const ids = states.map((each) => `id eq ${quoted(text(each["clientOperationId"]))}`);
  const { entities: operations } = await api.page("/configurationManagerClientOperations", {
    $filter: ids.join(" or "),
    $top: ACTIONS,
  });
  const byId = new Map(operations.map((each) => [each["id"], each]));
  const newest = new Map<string, Newest>();
  for (const state of states) {
    const operation = byId.get(state["clientOperationId"]);
    const application = text(operation?.["subjectId"]);
    if (operation !== undefined && !newest.has(application)) {
      newest.set(application, { operation, state });
    }
  }
  return newest;
}

function outcome(source: { readonly name: string }, newest: Newest | undefined): Html | undefined {
  if (newest === undefined) return undefined;
  const { operation, state } = newest;
  const action = text(operation["action"]);
  // The device itself only waits; who it waits for is known of the operation.
  const isWaiting = operation["state"] === "waitingForApproval";
  const words = isWaiting
    ? html`<span class="warn">waits for approval by a second person</span>`
    : deviceState(state["state"], action);
  return html`<a href="${operationPath(source, operation)}">${actionWords(action)}</a>: ${words}<br><small>${time(state["stateDateTime"])}</small>`;
}

function links(source: { readonly name: string }, device: ShownDevice, application: Entity): Html {
  const resourceId = text(device.entity["configurationManagerKey"]);
  const all = APPLICATION_ACTIONS.map((action) => {
    const target = applicationPath(source, application, "/confirm");
    const label = `${APPLICATION_WORDS[action]} ${text(application["displayName"])}`;
    return html`<a href="${address(target, { action, device: resourceId })}" aria-label="${label}">${APPLICATION_WORDS[action]}</a> `;
  });
  return html`${all}`;
}
