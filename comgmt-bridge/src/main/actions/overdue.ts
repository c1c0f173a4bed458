import type { DeviceNews, StoredAction } from "../../core/actions/action-state.ts";
import type { ActionParts } from "./action-parts.ts";

/** Own limit: how long after a command's end devices may still tell what they did before. */
const GRACE_MS = 600_000;

/** Ends devices that nothing more will be heard of: the command's time is over. */
export async function endOverdue(
  { kernel: { store, clock } }: ActionParts,
  { id, expiresAt, open, requests, plan }: StoredAction,
): Promise<void> {
  const now = clock.now();
  if (now <= expiresAt) return;
  const isOver = now > expiresAt + GRACE_MS;
  const devices = open.flatMap(({ resourceId, request, attempts }): DeviceNews[] => {
    const sent = requests.find(({ n }) => n === request);
    if (request === 0 && attempts === 0) {
      const reason = "the command's time was over before the device was asked";
      return [{ resourceId, state: "expired", reason }];
    }
    if (request === 0) {
      const reason = "the device did not answer before the command's time was over";
      return [{ resourceId, state: "expired", reason }];
    }
    if (!isOver) return [];
    const number = sent?.operationId === undefined ? "" : ` ${sent.operationId}`;
    const reason =
      plan.kind === "query"
        ? "the device did not answer before the command's time was over"
        : `the command's time is over without word of the device; the site's operation${number} may still be carried out`;
    return [{ resourceId, state: plan.kind === "query" ? "expired" : "unknown", reason }];
  });
  if (devices.length > 0) await store.run("noteDevices", { id, at: now, devices });
}
