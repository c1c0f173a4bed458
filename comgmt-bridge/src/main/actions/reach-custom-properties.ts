import type { StoredAction } from "../../core/actions/action-state.ts";
import {
  type ActionRequest,
  deleteExtensionDataRequest,
  setExtensionDataRequest,
} from "../../protocol/admin-service/action-requests.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";
import { sendOnce } from "./request-sender.ts";

/**
 * Gives a device the custom properties that its action is to reach, by what it has at this moment: doing it again changes nothing. Where an
 * answer is lost the action stays open, and the next look goes on. Throws what the client throws.
 */
export async function reachCustomProperties(
  parts: ActionParts,
  action: StoredAction,
  asking: Asking,
): Promise<void> {
  const { plan, id } = action;
  const [device] = action.open;
  if (plan.kind !== "custom-properties" || device === undefined) return;
  const { resourceId } = device;
  const { goal } = plan;
  const now = await parts.site.customProperties(resourceId, asking);
  const isSurplus = Object.keys(now).some((name) => !Object.hasOwn(goal, name));
  const missing = Object.entries(goal).filter(([name, value]) => isSurplus || now[name] !== value);
  const requests: readonly ActionRequest[] = [
    ...(isSurplus ? [deleteExtensionDataRequest(resourceId)] : []),
    ...(missing.length > 0
      ? [setExtensionDataRequest(resourceId, Object.fromEntries(missing))]
      : []),
  ];
  for (const request of requests) {
    const sending = { action: { id, plan }, resourceIds: [resourceId], request, asking };
    const sent = await sendOnce(parts, { ...sending, isPatient: true });
    if (sent.kind === "uncertain") return;
  }
  const { store, clock } = parts.kernel;
  const devices = [{ resourceId, state: "succeeded" as const }];
  await store.run("noteDevices", { id, at: clock.now(), devices });
}
