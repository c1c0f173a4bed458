import { RefusalError } from "@isthmus/shared/errors";
import { ACTIONS_STREAM, type siteCommandPayloads } from "@isthmus/shared/link/site-messages";
import type { z } from "zod";
import type { DeviceNews, StoredAction } from "../../core/actions/action-state.ts";
import { cancelRequest } from "../../protocol/admin-service/action-requests.ts";
import { type ActionParts, commandAsking } from "./action-parts.ts";
import { numberGivenAgain } from "./given-again.ts";
import { isNumbered } from "./request-sender.ts";

export type CancelPayload = z.output<(typeof siteCommandPayloads)["site.cancel"]>;

/**
 * Ends an action: its operations at the site where they have numbers, and the wait for its devices in any case. A device that has
 * begun goes on; nothing can call it back.
 */
export class Cancellation {
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  async run(payload: CancelPayload) {
    const { locks, kernel, siteCode } = this.#parts;
    const { commandId } = payload;
    const devices = await locks.hold(commandId, () => this.#cancel(commandId));
    kernel.link.wake(ACTIONS_STREAM);
    return { source: siteCode, devices };
  }

  async #cancel(id: string): Promise<number> {
    const { kernel, siteCode } = this.#parts;
    const action = await kernel.store.run("findAction", { id });
    if (action !== undefined && action.source === siteCode) {
      return await cancelAction(this.#parts, action);
    }
    const message = `this bridge knows no action of ${id}`;
    throw new RefusalError("action-unknown", "payload.commandId", message);
  }
}

/** For whoever holds the action's lock. Returns how many devices were waited for. */
export async function cancelAction(parts: ActionParts, action: StoredAction): Promise<number> {
  const { store, clock } = parts.kernel;
  const { id } = action;
  const reason = await endAtSite(parts, action);
  const devices = action.open.map(({ resourceId, request }): DeviceNews => {
    const told = request === 0 ? "it was not sent to the device" : reason;
    return { resourceId, state: "cancelled", reason: told };
  });
  return await store.run("noteDevices", { id, at: clock.now(), devices });
}

/** What to tell of devices that were asked already. */
async function endAtSite(parts: ActionParts, action: StoredAction): Promise<string> {
  const { client, kernel } = parts;
  const awaited = new Set(action.open.map(({ request }) => request));
  const requests = action.requests.filter(({ n, state }) => state === "taken" && awaited.has(n));
  if (!isNumbered(action)) {
    return "the site cannot take it back; the bridge waits no longer and the device may go on";
  }
  let ended = 0;
  for (const request of requests) {
    const { operationId } = request;
    if (operationId === undefined) continue;
    const { path, argument, asked } = cancelRequest(operationId);
    const asking = commandAsking(kernel.signal);
    try {
      // What has its number by now is somebody else's, and goes on.
      const numbered = { ...request, operationId };
      if ((await numberGivenAgain(parts, action, numbered, asking)) !== undefined) continue;
      await client.call(path, argument, { ...asking, asked });
      ended += 1;
    } catch (error) {
      kernel.log.warn({ id: action.id, operationId, err: error }, "action.not-cancelled");
    }
  }
  if (ended === requests.length && action.requests.every(({ state }) => state !== "intended")) {
    return "the site gave the operation up; a device that had begun goes on";
  }
  return "the bridge waits no longer, but could not end the operation at the site: the device may go on";
}
