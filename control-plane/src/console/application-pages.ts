import { APPLICATION_ACTIONS } from "@isthmus/shared/link/site-messages";
import { isPermitted } from "../core/roles.ts";
import { address, choice, facts, table, text, time } from "./cells.ts";
import { ApiRefusal, type ConsoleApi, type Entity, quoted } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { operationTable } from "./operation-table.ts";
import {
  recordOf,
  type ShownSource,
  searchedList,
  sourceApi,
  sourceFrame,
} from "./source-frame.ts";
import {
  field,
  findTarget,
  hiddenTarget,
  onceField,
  onceKey,
  targetFields,
  targetQuery,
  typedTarget,
} from "./target.ts";

/** `/sources/{name}/applications` and below: the applications of a site, and a form to have one installed or removed. */

const RESOURCE = "configurationManagerApplications";
const ROWS = "20";

type ApplicationAction = (typeof APPLICATION_ACTIONS)[number];

export const APPLICATION_WORDS: Readonly<Record<ApplicationAction, string>> = {
  install: "Install",
  uninstall: "Uninstall",
  repair: "Repair",
  reevaluate: "Re-evaluate",
};

const EFFECTS: Readonly<Record<ApplicationAction, string>> = {
  install: "The client installs it now.",
  uninstall: "The client removes it now, whoever works with it.",
  repair: "The client repairs it now.",
  reevaluate: "The client looks anew whether its deployments are met.",
};

export async function applicationsPage(
  api: ConsoleApi,
  source: ShownSource,
  query: URLSearchParams,
): Promise<Html> {
  const kept = targetQuery(typedTarget(query));
  const list = await searchedList(api, source, {
    ...{ resource: RESOURCE, below: "/applications", query, kept },
    caption: "Applications",
    columns: ["Application", "Publisher", "Version", "Deployed", "Deployments", "State"],
    row: (each) => [
      html`<a href="${address(applicationPath(source, each), kept)}">${text(each["displayName"])}</a>`,
      text(each["publisher"]),
      text(each["softwareVersion"]),
      yesNo(each["isDeployed"]),
      text(each["numberOfDeployments"]),
      standing(each),
    ],
  });
  return sourceFrame(api, source, { tab: "/applications" }, list);
}

export function applicationPath(
  source: Pick<ShownSource, "name">,
  { id }: Entity,
  below = "",
): string {
  const name = encodeURIComponent(source.name);
  return `/sources/${name}/applications/${encodeURIComponent(text(id))}${below}`;
}

function yesNo(value: unknown): string {
  return value === true ? "yes" : value === false ? "no" : "";
}

function standing(application: Entity): string {
  const words = [
    application["isEnabled"] === false && "disabled",
    application["isExpired"] === true && "expired",
    application["isSuperseded"] === true && "superseded",
  ].filter((word) => word !== false);
  return words.join(", ");
}

export async function applicationPage(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly typed: URLSearchParams; readonly problem?: string },
): Promise<Html> {
  const application = await recordOf(api, source, { resource: RESOURCE, id: of.id });
  const id = text(application["id"]);
  const [deployments, asked] = await Promise.all([
    api.page(`/${RESOURCE}/${id}/deployments`, { $top: ROWS }),
    api.page(sourceApi(source, "/clientOperations"), {
      $filter: `kind eq 'application' and subject eq ${quoted(text(application["key"]))}`,
      $orderby: "createdDateTime desc",
      $top: ROWS,
    }),
  ]);
  const operations = { id: "asked", caption: "Actions of it", operations: asked.entities };
  const content = html`${facts([
    ["Publisher", text(application["publisher"])],
    ["Version", text(application["softwareVersion"])],
    ["Deployed", yesNo(application["isDeployed"])],
    ["State", standing(application) || "in use"],
    ["CI_UniqueID", html`<code>${text(application["uniqueId"])}</code>`],
    ["Known since", time(application["firstSeenDateTime"])],
  ])}
    ${actionForm(api, source, application, of)}
    <h3>What was asked of it, the newest first</h3>
    ${asked.entities.length === 0 ? html`<p class="quiet">Nothing from here.</p>` : operationTable(source, operations)}
    <h3>Deployments of its name</h3>
    ${deployments.entities.length === 0 ? html`<p class="quiet">None that is known here.</p>` : deploymentTable(deployments.entities)}`;
  const heading = text(application["displayName"]);
  return sourceFrame(api, source, { tab: "/applications", heading }, content);
}

function actionForm(
  api: ConsoleApi,
  source: ShownSource,
  application: Entity,
  { typed, problem }: { readonly typed: URLSearchParams; readonly problem?: string },
): Html | undefined {
  if (!isPermitted(api.session.roles, "actions.run")) return undefined;
  const values = APPLICATION_ACTIONS.map((action) => [action, APPLICATION_WORDS[action]] as const);
  return html`<h3>Install, uninstall, repair, re-evaluate</h3>
    ${problem && html`<p class="bad" role="alert">${problem}</p>`}
    <form class="asked" method="get" action="${applicationPath(source, application, "/confirm")}" aria-label="Act on the application">
      ${choice({ name: "action", label: "Action", values, chosen: field(typed, "action") })}
      ${targetFields(typedTarget(typed))}
      <button>Go on</button>
    </form>
    <p class="quiet">It happens on devices to which the application is deployed; on others the action is not applicable.</p>`;
}

function deploymentTable(deployments: readonly Entity[]): Html {
  return table({
    id: "deployments",
    caption: "Deployments",
    columns: ["Deployment", "CollectionID", "Intent", "Since"],
    rows: deployments.map((each) => [
      text(each["displayName"]) || text(each["targetName"]),
      html`<code>${text(each["collectionId"])}</code>`,
      text(each["intent"]),
      time(each["deploymentTime"]),
    ]),
  });
}

function actionIn(fields: URLSearchParams | Readonly<Record<string, unknown>>): ApplicationAction {
  const action = APPLICATION_ACTIONS.find((each) => each === field(fields, "action"));
  if (action !== undefined) return action;
  throw new ApiRefusal(404, "not-found", "There is no such action");
}

/** "Install Editor on PC0?" */
export async function applicationConfirmation(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly query: URLSearchParams },
): Promise<Html> {
  const action = actionIn(of.query);
  const application = await recordOf(api, source, { resource: RESOURCE, id: of.id });
  const target = await findTarget(api, source, typedTarget(of.query));
  const name = text(application["displayName"]);
  const words = APPLICATION_WORDS[action];
  const content = html`<p class="note"><strong>${words} ${name}</strong> on <strong>${target.words}</strong>.
      ${EFFECTS[action]} The audit names you with it.</p>
    <form class="asked" method="post" action="${applicationPath(source, application, "/ask")}">
      ${hiddenTarget(target.typed)}
      <input type="hidden" name="action" value="${action}">
      ${onceField()}
      <button>${words}</button>
      <a href="${address(applicationPath(source, application), { action, ...targetQuery(target.typed) })}">Back, without it</a>
    </form>`;
  return sourceFrame(api, source, { tab: "/applications", heading: `${words} ${name}?` }, content);
}

/** Asks the API, and answers the operation's id. */
export async function askForApplication(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly form: Readonly<Record<string, unknown>> },
): Promise<string> {
  const action = actionIn(of.form);
  const application = await recordOf(api, source, { resource: RESOURCE, id: of.id });
  const { body: target } = await findTarget(api, source, typedTarget(of.form));
  const id = encodeURIComponent(text(application["id"]));
  const path = sourceApi(source, `/applications/${id}/${action}`);
  const made = await api.post(path, { target }, onceKey(of.form, path, target));
  return text(made["id"]);
}
