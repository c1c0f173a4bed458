import { choice, text } from "./cells.ts";
import { ApiRefusal, type ConsoleApi, requirePermission } from "./console-api.ts";
import { actionsFor, OFFERED_ACTIONS } from "./device-actions.ts";
import { type Html, html } from "./html.ts";
import { recordOf, type ShownSource, sourceApi, sourceFrame, sourcePath } from "./source-frame.ts";
import { field, onceField, onceKey } from "./target.ts";

/** Client notifications to the devices of a collection: a form, the question with their number, and the request. */

const RESOURCE = "configurationManagerCollections";

type Fields = URLSearchParams | Readonly<Record<string, unknown>>;

/** What is asked of devices themselves, and not of their site. */
function offered(api: ConsoleApi) {
  return actionsFor(api.session.roles).filter(({ isForSite }) => isForSite !== true);
}

function path(source: ShownSource, id: string): string {
  return sourcePath(source, `/collections/${encodeURIComponent(id)}/notify`);
}

/** The form that stands in the page of a collection. */
export function notificationForm(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly name: string },
): Html | undefined {
  const values = offered(api).map(({ name, words }) => [name, words] as const);
  if (values.length === 0) return undefined;
  return html`<form class="asked" method="get" action="${path(source, of.id)}" aria-label="Notify the clients of ${of.name}">
      ${choice({ name: "notification", label: `Notify all clients of ${of.name}`, values, chosen: "" })}
      <button>Go on</button>
    </form>`;
}

function chosen(api: ConsoleApi, fields: Fields) {
  const name = field(fields, "notification");
  const action = OFFERED_ACTIONS.find((each) => each.name === name && each.isForSite !== true);
  if (action === undefined) throw new ApiRefusal(404, "not-found", "There is no such action");
  requirePermission(api, action.permission);
  return action;
}

/** "Restart: all 300 devices of All Systems?" */
export async function notificationConfirmation(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly fields: Fields; readonly problem?: string },
): Promise<Html> {
  const action = chosen(api, of.fields);
  const collection = await recordOf(api, source, { resource: RESOURCE, id: of.id });
  const name = text(collection["displayName"]) || text(collection["collectionId"]);
  const [counted, known] = [text(collection["memberCount"]), text(collection["knownMemberCount"])];
  const devices = `${known} ${known === "1" ? "device" : "devices"}`;
  const content = html`${of.problem && html`<p class="bad" role="alert">${of.problem}</p>`}
    <p class="note"><strong>${action.words}</strong> on <strong>all devices of ${name}</strong> (<code>${text(collection["collectionId"])}</code>):
      ${devices} known here, ${counted || "nobody says how many"} as the site counts.</p>
    <p>${action.effect} The bridge asks the site who is in the collection when it does it. Its guardrails may refuse it or
      have it wait for a second person; the next page says so. The audit names you with it.</p>
    <form class="asked" method="post" action="${path(source, of.id)}">
      <input type="hidden" name="notification" value="${action.name}">
      ${onceField(field(of.fields, "key") || undefined)}
      <button>${action.words}: ${devices}</button>
      <a href="${sourcePath(source, `/collections/${encodeURIComponent(of.id)}`)}">Back, without it</a>
    </form>`;
  const heading = `${action.words}: all of ${name}?`;
  return sourceFrame(api, source, { tab: "/collections", heading }, content);
}

/** Asks the API, and answers the operation's id. */
export async function notifyCollection(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly form: Readonly<Record<string, unknown>> },
): Promise<string> {
  const { name: notification } = chosen(api, of.form);
  const collection = await recordOf(api, source, { resource: RESOURCE, id: of.id });
  const body = { target: { collectionId: text(collection["collectionId"]) }, notification };
  const operations = sourceApi(source, "/clientOperations");
  const made = await api.post(operations, body, onceKey(of.form, operations, body));
  return text(made["id"]);
}
