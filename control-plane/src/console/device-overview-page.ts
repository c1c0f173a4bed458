import { actionWords } from "../core/action-words.ts";
import { address, facts, state, table, text, time } from "./cells.ts";
import type { ConsoleApi, Entity } from "./console-api.ts";
import { actionLinks } from "./device-actions.ts";
import { apiPath, devicePage, isOfSite, type ShownDevice } from "./device-frame.ts";
import { online } from "./device-list-page.ts";
import { type Html, html } from "./html.ts";
import { sourcePath } from "./source-frame.ts";
import { errorCode } from "./state-words.ts";

/** Own limit on the page; the API has all. */
const MAX_BOUNDARY_GROUPS = 20;

/** `/devices/{id}`: what is known of a device, and what may be asked of it. */
export async function deviceOverviewPage(api: ConsoleApi, device: ShownDevice): Promise<Html> {
  const { entity } = device;
  const boundaryGroups = await boundaryGroupsOf(api, device);
  const client = entity["configurationManagerClientInformation"] as Entity | null;
  const health = entity["configurationManagerClientHealthState"] as Entity | null;
  const content = html`${facts([
    ["User", text(entity["userPrincipalName"])],
    ["Operating system", `${text(entity["operatingSystem"])} ${text(entity["osVersion"])}`],
    ["Operating system, as its source says", text(entity["osDescription"])],
    ["Model", model(entity)],
    ["Serial number", text(entity["serialNumber"])],
    ["Online", online(entity["isOnline"])],
    ["Last seen", time(entity["lastSyncDateTime"])],
    ["Client version", text(client?.["clientVersion"])],
    ["Client health", health === null ? "" : state(text(health["state"]))],
    ["Managed by", words(AGENTS, entity["managementAgent"])],
    ["State", text(entity["managementState"])],
    ["Workloads in Intune", workloads(entity["configurationManagerClientEnabledFeatures"])],
    [
      "Compliance",
      html`${state(text(entity["complianceState"]), words(COMPLIANCE, entity["complianceState"]))} ${text(entity["complianceReason"])}`,
    ],
    ["Entra device id", code(entity["azureADDeviceId"])],
    ...(boundaryGroups === undefined ? [] : [["Boundary groups", boundaryGroups] as const]),
    ["Source", source(entity)],
    ["Id there (ResourceID)", code(entity["configurationManagerKey"])],
    ["Id here", code(entity["id"])],
    ["Known since", time(entity["enrolledDateTime"])],
    ["Last changed", time(entity["lastModifiedDateTime"])],
  ])}
    ${
      device.isSynced
        ? undefined
        : html`<p class="note">No source tells of this device: it has no inventory, timeline and actions. If a site or an inventory agent knows it,
      name that device in its <code>syncedDeviceId</code>, or its Entra id in <code>azureADDeviceId</code>, by the API.</p>`
    }
    ${actionLinks(api, device, "Actions")}
    ${results(entity["deviceActionResults"])}`;
  return devicePage(api, device, { tab: "" }, content);
}

/** Values of Graph in words; one that nobody knows is shown as it is. */
const AGENTS: Readonly<Record<string, string>> = {
  configurationManagerClientMdm: "Configuration Manager and Intune (co-managed)",
  configurationManagerClient: "Configuration Manager",
  unknown: "not known",
};
const COMPLIANCE: Readonly<Record<string, string>> = {
  configManager: "judged by Configuration Manager",
  noncompliant: "not compliant",
  unknown: "not known",
};
const DELIVERIES: Readonly<Record<string, string>> = {
  pendingDelivery: "waits for the bridge",
  deliveredToConnectorService: "the bridge has it",
  deliveredToOnPremisesServer: "the site has it",
  failedToDeliverToConnectorService: "did not reach the site",
  unknown: "not known",
};

/** Undefined for what no site manages. */
async function boundaryGroupsOf(api: ConsoleApi, device: ShownDevice) {
  if (!isOfSite(device)) return undefined;
  const path = `${apiPath(device)}/configurationManagerBoundaryGroups`;
  const { entities } = await api.page(path, {});
  if (entities.length === 0) return "none that is known";
  const shown = entities.slice(0, MAX_BOUNDARY_GROUPS).map((group) => {
    const name = text(group["displayName"]);
    const site = { name: text(group["configurationManagerSite"]) };
    const list = address(sourcePath(site, "/boundary-groups"), { name });
    return group["id"] === null
      ? html`<li>${name}</li>`
      : html`<li><a href="${list}">${name}</a></li>`;
  });
  const more = entities.length - shown.length;
  return html`<ul>${shown}</ul>${more > 0 ? `and ${more} more` : ""}`;
}

function words(of: Readonly<Record<string, string>>, value: unknown): string {
  const name = text(value);
  return Object.hasOwn(of, name) ? (of[name] ?? name) : name;
}

function code(value: unknown): Html | undefined {
  const shown = text(value);
  return shown === "" ? undefined : html`<code>${shown}</code>`;
}

function source(device: Entity): Html | string {
  const name = text(device["configurationManagerSite"]);
  if (name === "") return "administrators' own entry";
  return html`<a href="/sources/${encodeURIComponent(name)}">${name}</a>`;
}

/** Many models begin with their manufacturer already. */
function model(device: Entity): string {
  const [maker, name] = [text(device["manufacturer"]), text(device["model"])];
  return name.startsWith(`${maker} `) ? name : `${maker} ${name}`;
}

function workloads(features: unknown): string {
  if (typeof features !== "object" || features === null) return "";
  const moved = Object.entries(features).filter(([, isMoved]) => isMoved === true);
  return moved.length === 0 ? "none" : moved.map(([name]) => name).join(", ");
}

function results(value: unknown): Html | undefined {
  const newest = (value ?? []) as readonly Entity[];
  if (newest.length === 0) return undefined;
  return html`<h3>Newest result of each action</h3>${table({
    id: "results",
    caption: "Newest result of each action",
    columns: ["Action", "State", "Delivery", "Asked for", "Last news", "Error code"],
    rows: newest.map((result) => [
      html`${actionWords(text(result["actionName"]))}<br><small><code>${text(result["actionName"])}</code></small>`,
      state(text(result["actionState"])),
      words(DELIVERIES, result["actionDeliveryStatus"]),
      time(result["startDateTime"]),
      time(result["lastUpdatedDateTime"]),
      errorCode(result["errorCode"]),
    ]),
  })}`;
}
