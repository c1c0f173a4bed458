import { table, text, time } from "./cells.ts";
import { ApiRefusal, type ConsoleApi, type Entity, requirePermission } from "./console-api.ts";
import { apiPath, devicePage, pagePath, requireOfSite, type ShownDevice } from "./device-frame.ts";
import { type Html, html } from "./html.ts";
import { operationPath } from "./operation-table.ts";
import { operationState, reason } from "./state-words.ts";
import { field, onceField, onceKey } from "./target.ts";

/** `/devices/{id}/properties`: the custom properties of a device, a form to set and to remove some, and what was changed from here. */

const BELOW = "/properties";
const HEADING = "Custom properties";
/** The class of hardware inventory in which the site tells of them. */
const CLASS = "SMS_G_System_ExtensionData";
const CHANGES = "20";
const MAX_CHARACTERS = 16_384;

type Form = Readonly<Record<string, unknown>>;

function requireMay(api: ConsoleApi, device: ShownDevice): void {
  requirePermission(api, "actions.run");
  requireOfSite(device, "custom properties");
}

export async function propertiesPage(
  api: ConsoleApi,
  device: ShownDevice,
  of: { readonly form?: Form; readonly problem?: string } = {},
): Promise<Html> {
  requireMay(api, device);
  const { form = {}, problem } = of;
  const content = html`${problem && html`<p class="bad" role="alert">${problem}</p>`}
    ${await present(api, device)}
    <p class="quiet">Which names may be changed from here, the bridge's guardrails say.</p>
    <form class="asked" method="post" action="${pagePath(device, `${BELOW}/confirm`)}" aria-label="Custom properties of ${device.name}">
      <label class="wide"><span>Set, one <code>Name=value</code> a line</span>
        <textarea name="set" rows="3" spellcheck="false" maxlength="${MAX_CHARACTERS}" placeholder="Owner=Anna">
${field(form, "set")}</textarea></label>
      <label class="wide">Remove, one name a line
        <textarea name="remove" rows="3" spellcheck="false" maxlength="${MAX_CHARACTERS}">
${field(form, "remove")}</textarea></label>
      <button>Go on</button>
    </form>
    <h3>Changed from here, the newest first</h3>
    ${await changes(api, device)}`;
  return devicePage(api, device, { tab: "/actions", heading: HEADING }, content);
}

/** As the site told them last. */
async function present(api: ConsoleApi, device: ShownDevice): Promise<Html> {
  const { entities } = await classRows(api, device);
  if (entities.length === 0) return html`<p class="quiet">The site told of none.</p>`;
  const list = table({
    id: "present",
    caption: "Custom properties",
    columns: ["Property", "Value"],
    rows: entities.map((each) => [text(each["PropertyName"]), text(each["PropertyValue"])]),
  });
  const former = pagePath(device, `/inventory/${CLASS}`);
  return html`${list}<p class="quiet">As the site told them last; <a href="${former}">former values</a>.</p>`;
}

async function classRows(api: ConsoleApi, device: ShownDevice) {
  try {
    return await api.page(`${apiPath(device)}/resourceExplorer/${CLASS}`, {});
  } catch (error) {
    if (error instanceof ApiRefusal && error.status === 404) return { entities: [] };
    throw error;
  }
}

async function changes(api: ConsoleApi, device: ShownDevice): Promise<Html> {
  const { entities } = await api.page(`${apiPath(device)}/clientOperations`, {
    $filter: "action eq 'setProperties'",
    $orderby: "createdDateTime desc",
    $top: CHANGES,
  });
  if (entities.length === 0) return html`<p class="quiet">Nothing was changed from here.</p>`;
  const ids = entities.map((each) => `id eq '${text(each["clientOperationId"])}'`);
  const { entities: operations } = await api.page("/configurationManagerClientOperations", {
    $filter: ids.join(" or "),
    $orderby: "createdDateTime desc",
    $top: CHANGES,
  });
  const source = { name: text(device.entity["configurationManagerSite"]) };
  return table({
    id: "changes",
    caption: "Changes of custom properties",
    columns: ["Asked at", "By", "Set", "Removed", "State", "Reason"],
    rows: operations.map((each) => {
      const { set = [], remove = [] } = (each["details"] ?? {}) as Entity;
      return [
        html`<a href="${operationPath(source, each)}">${time(each["createdDateTime"])}</a>`,
        text(each["actor"]),
        (set as readonly string[]).join(", "),
        (remove as readonly string[]).join(", "),
        operationState(each["state"]),
        reason(each["reason"]),
      ];
    }),
  });
}

interface Wanted {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

function linesOf(form: Form, name: string): string[] {
  const lines = field(form, name).split(/\r?\n/);
  return lines.map((line) => line.trim()).filter((line) => line !== "");
}

/** Throws `ApiRefusal` in words for who typed it. */
function wantedIn(form: Form): Wanted {
  const pairs = linesOf(form, "set").map((line) => {
    const at = line.indexOf("=");
    if (at > 0) return [line.slice(0, at).trim(), line.slice(at + 1).trim()] as const;
    throw new ApiRefusal(400, "body-invalid", `Set: expected Name=value, got ${line.slice(0, 60)}`);
  });
  const remove = linesOf(form, "remove");
  if (pairs.length + remove.length > 0) return { set: Object.fromEntries(pairs), remove };
  throw new ApiRefusal(400, "body-invalid", "Type a property to set or to remove.");
}

/** "Change custom properties of PC0?", with each of them. */
export function propertiesConfirmation(api: ConsoleApi, device: ShownDevice, form: Form): Html {
  requireMay(api, device);
  const { set, remove } = wantedIn(form);
  const rows = [
    ...Object.entries(set).map(([name, value]) => [name, "set to", value]),
    ...remove.map((name) => [name, "removed", ""]),
  ];
  const content = html`<p class="note">These properties of <strong>${device.name}</strong> change at its site. The others stay. The audit names you with it, and which properties, not their values.</p>
    ${table({ id: "wanted", caption: "Changes", columns: ["Property", "Is", "Value"], rows })}
    <form class="asked" method="post" action="${pagePath(device, BELOW)}">
      <input type="hidden" name="set" value="${field(form, "set")}">
      <input type="hidden" name="remove" value="${field(form, "remove")}">
      ${onceField()}
      <button>Change ${device.name}</button>
      <a href="${pagePath(device, BELOW)}">Back, without it</a>
    </form>`;
  return devicePage(
    api,
    device,
    { tab: "/actions", heading: `${HEADING}: ${device.name}?` },
    content,
  );
}

/** Asks the API, and answers where the operation is shown. */
export async function changeProperties(
  api: ConsoleApi,
  device: ShownDevice,
  form: Form,
): Promise<string> {
  requireMay(api, device);
  const wanted = wantedIn(form);
  const path = `${apiPath(device)}/setConfigurationManagerProperties`;
  const made = await api.post(path, wanted, onceKey(form, path, wanted));
  return operationPath({ name: text(made["configurationManagerSite"]) }, made);
}
