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

function graphAction(name: string, words: string, effect: string): OfferedAction {
  return {
    ...{ name, words, effect, permission: "actions.notify" },
    path: "/triggerConfigurationManagerAction",
    body: { configurationManagerAction: { action: name } },
  };
}

function notification(
  name: string,
  words: string,
  effect: string,
  permission: Permission = "actions.notify",
): OfferedAction {
  return {
    ...{ name, words, effect, permission },
    path: "/clientOperations",
    body: { notification: name },
  };
}

export const OFFERED_ACTIONS: readonly OfferedAction[] = [
  graphAction("refreshMachinePolicy", "Sync machine policy", "The client asks for its policy now."),
  graphAction(
    "refreshUserPolicy",
    "Sync user policy",
    "The client asks for its users' policy now.",
  ),
  graphAction(
    "appEvaluation",
    "App evaluation",
    "The client evaluates its application deployments now.",
  ),
  graphAction("wakeUpClient", "Wake up", "The site wakes the device over the network."),
  graphAction("quickScan", "Quick scan", "Defender begins a quick scan."),
  graphAction("fullScan", "Full scan", "Defender begins a full scan, which takes hours."),
  graphAction(
    "windowsDefenderUpdateSignatures",
    "Update Defender",
    "Defender fetches new security intelligence.",
  ),
  notification("hardwareInventory", "Hardware inventory", "The client takes hardware inventory."),
  notification("softwareInventory", "Software inventory", "The client takes software inventory."),
  notification("discoveryData", "Discovery data", "The client sends its discovery data."),
  notification(
    "softwareUpdateEvaluation",
    "Evaluate updates",
    "The client evaluates its software updates.",
  ),
  notification(
    "complianceEvaluation",
    "Evaluate compliance",
    "The client evaluates its configuration baselines.",
  ),
  {
    ...{ name: "refreshInventory", words: "Read again", permission: "actions.notify" },
    effect: "The bridge reads the device from its site now. Nothing happens on the device.",
    isForSite: true,
    path: "/refreshConfigurationManagerInventory",
    body: {},
  },
  notification(
    "restart",
    "Restart",
    "The device restarts. Whoever works there is warned by the client's own settings alone.",
    "actions.run",
  ),
];

/** Names of the API that no button of a device has. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  runScript: "Run script",
  runQuery: "CMPivot query",
  installApplication: "Install",
  uninstallApplication: "Uninstall",
  repairApplication: "Repair",
  reevaluateApplication: "Re-evaluate",
  revealRecoveryKey: "Recovery key",
  setProperties: "Custom properties",
};

/** An action as its button says it, by its name in the API. */
export function actionWords(name: string): string {
  const offered = OFFERED_ACTIONS.find((each) => each.name === name);
  return offered?.words ?? (Object.hasOwn(OTHER_WORDS, name) ? (OTHER_WORDS[name] ?? name) : name);
}

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
  return html`<h3>${heading}</h3><ul class="buttons">${links}</ul>${targetLinks(api, { name }, target)}`;
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
