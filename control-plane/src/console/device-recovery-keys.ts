import { facts, table, text, time } from "./cells.ts";
import { ApiRefusal, type ConsoleApi, type Entity, requirePermission } from "./console-api.ts";
import { apiPath, devicePage, pagePath, requireOfSite, type ShownDevice } from "./device-frame.ts";
import { type Html, html } from "./html.ts";
import { approvalNote, operationState, reasonBeside } from "./state-words.ts";
import { field } from "./target.ts";

/**
 * `/devices/{id}/recovery-keys`: asks for the BitLocker recovery keys of a device, and shows them once. The secret that they are sealed
 * to stands in a hidden field of the page between, and nowhere else: whoever leaves that page asks again.
 */

const BELOW = "/recovery-keys";
const HEADING = "BitLocker recovery keys";

type Form = Readonly<Record<string, unknown>>;

/** Throws `ApiRefusal` where the device has no client or the roles do not allow it. */
function requireMay(api: ConsoleApi, device: ShownDevice): void {
  requirePermission(api, "actions.revealKey");
  requireOfSite(device, "recovery keys");
}

function frame(api: ConsoleApi, device: ShownDevice, content: Html): Html {
  return devicePage(api, device, { tab: "/actions", heading: HEADING }, content);
}

/** The question. */
export function recoveryKeysPage(api: ConsoleApi, device: ShownDevice, problem?: string): Html {
  requireMay(api, device);
  return frame(
    api,
    device,
    html`${problem && html`<p class="bad" role="alert">${problem}</p>`}
      <p class="note">The site shows all recovery keys that it has of <strong>${device.name}</strong>. They are shown here once, to you alone, within 15 minutes;
        the device makes new ones afterwards. The audit says that you asked and that you read them.</p>
      <form class="asked" method="post" action="${pagePath(device, BELOW)}">
        <button>Ask for the recovery keys of ${device.name}</button>
        <a href="${pagePath(device)}">Back, without it</a>
      </form>`,
  );
}

/** Asks, and shows the form with which the keys are read. */
export async function askForRecoveryKeys(api: ConsoleApi, device: ShownDevice): Promise<Html> {
  requireMay(api, device);
  const operation = await api.post(`${apiPath(device)}/revealRecoveryKey`, {});
  return waitingPage(api, device, { operation, secret: text(operation["secret"]) });
}

function waitingPage(
  api: ConsoleApi,
  device: ShownDevice,
  of: { readonly operation: Entity; readonly secret: string; readonly isPending?: boolean },
): Html {
  const { operation, secret } = of;
  const isLost = ["refused", "failed", "expired", "cancelled", "unknown"].includes(
    text(operation["state"]),
  );
  const target = pagePath(device, `${BELOW}/${encodeURIComponent(text(operation["id"]))}`);
  const form = html`<form class="asked" method="post" action="${target}">
      <input type="hidden" name="secret" value="${secret}">
      <button>Show the recovery keys of ${device.name}</button>
      <span>Stay on this page: it alone can show them.</span>
    </form>`;
  const again = html`<p><a href="${pagePath(device, BELOW)}">Ask again</a></p>`;
  return frame(
    api,
    device,
    html`${approvalNote(operation)}
      ${of.isPending && !isLost ? html`<p class="note" role="status">The bridge has not answered yet. Try again in a few seconds.</p>` : undefined}
      ${facts([
        ["State", operationState(operation["state"])],
        ["Reason", reasonBeside(operation)],
        ["Asked at", time(operation["createdDateTime"])],
      ])}
      ${isLost ? again : form}`,
  );
}

/** The keys; or, while the bridge has not answered, the same form again. */
export async function readRecoveryKeys(
  api: ConsoleApi,
  device: ShownDevice,
  of: { readonly operationId: string; readonly form: Form },
): Promise<Html> {
  requireMay(api, device);
  const secret = field(of.form, "secret");
  const id = encodeURIComponent(of.operationId);
  try {
    const read = await api.post(`${apiPath(device)}/revealRecoveryKey/${id}/read`, { secret });
    return keysPage(api, device, ((read["value"] as Entity)["keys"] ?? []) as readonly Entity[]);
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    if (error.code === "recovery-key-unknown") {
      const operation = await api.entity(`/configurationManagerClientOperations/${id}`);
      if (operation["state"] === "completed") throw error;
      return waitingPage(api, device, { operation, secret });
    }
    if (error.code !== "recovery-key-pending") throw error;
    const operation = await api.entity(`/configurationManagerClientOperations/${id}`);
    return waitingPage(api, device, { operation, secret, isPending: true });
  }
}

function keysPage(api: ConsoleApi, device: ShownDevice, keys: readonly Entity[]): Html {
  if (keys.length === 0) {
    return frame(
      api,
      device,
      html`<p role="status">The site has no recovery key of ${device.name}.</p>`,
    );
  }
  return frame(
    api,
    device,
    html`<p class="note warn" role="status">These keys are shown this once. Who leaves the page asks anew.</p>
      ${table({
        id: "keys",
        caption: `Recovery keys of ${device.name}`,
        columns: ["Key ID", "Recovery key"],
        rows: keys.map((each) => [
          html`<code>${text(each["id"])}</code>`,
          html`<code>${text(each["recoveryKey"])}</code>`,
        ]),
      })}
      <p><a href="${pagePath(device)}">Done</a></p>`,
  );
}
