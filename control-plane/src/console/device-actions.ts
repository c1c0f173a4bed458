import { actionWords } from "../core/action-words.ts";
import { isPermitted, type Permission, type Role } from "../core/roles.ts";
import { address } from "./cells.ts";
import type { ConsoleApi } from "./console-api.ts";
import { apiPath, devicePage, isOfSite, pagePath, type ShownDevice } from "./device-frame.ts";
import { type Html, html } from "./html.ts";
import { targetLinks } from "./target-links.ts";

/** What may be asked of one device from its page: each is one request to the API, and is asked for twice before it is made. */

interface OfferedAction {
  readonly name: string;
  readonly words: string;
  /** What it does to whoever sits there. */
  readonly effect: string;
  readonly permission: Permission;
  /** The site answers it by itself: nothing comes to the device. */
  readonly isForSite?: boolean;
  /** Below the device. */
  readonly path: string;
  readonly body: object;
}

function graphAction(name: string, effect: string): OfferedAction {
  return {
    ...{ name, words: actionWords(name), effect, permission: "actions.notify" },
    path: "/triggerConfigurationManagerAction",
    body: { configurationManagerAction: { action: name } },
  };
}

function notification(
  name: string,
  effect: string,
  permission: Permission = "actions.notify",
): OfferedAction {
  return {
    ...{ name, words: actionWords(name), effect, permission },
    path: "/clientOperations",
    body: { notification: name },
  };
}

export const OFFERED_ACTIONS: readonly OfferedAction[] = [
  graphAction("refreshMachinePolicy", "The client asks for its policy now."),
  graphAction("refreshUserPolicy", "The client asks for its users' policy now."),
  graphAction("appEvaluation", "The client evaluates its application deployments now."),
  graphAction("wakeUpClient", "The site wakes the device over the network."),
  graphAction("quickScan", "Defender begins a quick scan."),
  graphAction("fullScan", "Defender begins a full scan, which takes hours."),
  graphAction("windowsDefenderUpdateSignatures", "Defender fetches new security intelligence."),
  notification("hardwareInventory", "The client takes hardware inventory."),
  notification("softwareInventory", "The client takes software inventory."),
  notification("discoveryData", "The client sends its discovery data."),
  notification("softwareUpdateEvaluation", "The client evaluates its software updates."),
  notification("complianceEvaluation", "The client evaluates its configuration baselines."),
  {
    ...{ name: "refreshInventory", words: "Read again", permission: "actions.notify" },
    effect: "The bridge reads the device from its site now. Nothing happens on the device.",
    isForSite: true,
    path: "/refreshConfigurationManagerInventory",
    body: {},
  },
  notification(
    "restart",
    "The device restarts. Whoever works there is warned by the client's own settings alone.",
    "actions.run",
  ),
];

/** Pages of a device that ask for more than a button. */
const MORE = [
  { below: "/properties", words: "Custom properties", permission: "actions.run" },
  { below: "/recovery-keys", words: "BitLocker recovery keys", permission: "actions.revealKey" },
] as const;

/** The actions that these roles may ask for. */
export function actionsFor(roles: readonly Role[]): readonly OfferedAction[] {
  return OFFERED_ACTIONS.filter(({ permission }) => isPermitted(roles, permission));
}

/** Links to what the signed-in roles may ask of a device that has a client. */
export function actionLinks(
  api: ConsoleApi,
  device: ShownDevice,
  heading: string,
): Html | undefined {
  const offered = actionsFor(api.session.roles);
  if (!isOfSite(device) || offered.length === 0) return undefined;
  const links = offered.map(({ name, words }) => {
    const target = address(pagePath(device, "/actions/confirm"), { action: name });
    return html`<li><a class="button" href="${target}">${words}</a></li>`;
  });
  const name = String(device.entity["configurationManagerSite"]);
  const target = { device: String(device.entity["configurationManagerKey"]), collection: "" };
  const more = MORE.filter(({ permission }) => isPermitted(api.session.roles, permission)).map(
    ({ below, words }) =>
      html`<li><a class="button" href="${pagePath(device, below)}">${words}</a></li>`,
  );
  return html`<h3>${heading}</h3><ul class="buttons">${links}</ul>${targetLinks(api, { name }, target)}
    ${more.length === 0 ? undefined : html`<ul class="buttons">${more}</ul>`}`;
}

/** "Restart PC0?", with the button that does it. The key makes a form that is sent twice one request. */
export function confirmationPage(
  api: ConsoleApi,
  device: ShownDevice,
  of: {
    readonly action: OfferedAction;
    readonly key: string;
    readonly problem?: string | undefined;
  },
): Html {
  const { action, key, problem } = of;
  const site = String(device.entity["configurationManagerSite"] ?? "");
  return devicePage(
    api,
    device,
    { tab: "/actions", heading: `${action.words}: ${device.name}?` },
    html`${problem && html`<p class="bad" role="alert">${problem}</p>`}
      <p class="note">${action.effect}
        ${action.isForSite ? "" : `It goes to the device through the site ${site}.`} The audit names you with it.</p>
      <form class="asked" method="post" action="${pagePath(device, "/actions")}">
        <input type="hidden" name="action" value="${action.name}">
        <input type="hidden" name="key" value="${key}">
        <button>${action.words}</button>
        <a href="${pagePath(device)}">Back, without it</a>
      </form>`,
  );
}

/** Asks the API for the action. Throws `ApiRefusal`. */
export async function ask(
  api: ConsoleApi,
  device: ShownDevice,
  of: { readonly action: OfferedAction; readonly key: string },
): Promise<void> {
  await api.post(`${apiPath(device)}${of.action.path}`, of.action.body, of.key);
}
