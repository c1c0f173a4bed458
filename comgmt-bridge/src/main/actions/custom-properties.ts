import type { CommandContext, Reconciliation } from "@isthmus/shared/kernel/service-definition";
import { ACTIONS_STREAM, type siteCommandPayloads } from "@isthmus/shared/link/site-messages";
import type { z } from "zod";
import { judgeCustomProperties } from "../../core/actions/action-allowance.ts";
import type { StoredAction } from "../../core/actions/action-state.ts";
import {
  deleteExtensionDataRequest,
  setExtensionDataRequest,
} from "../../protocol/admin-service/action-requests.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import { type ActionParts, commandAsking } from "./action-parts.ts";
import { asMissingApproval, windowsOf } from "./approval-threshold.ts";
import { sendOnce } from "./request-sender.ts";
import { resolveTarget } from "./targets.ts";

export type CustomPropertiesPayload = z.output<
  (typeof siteCommandPayloads)["site.custom-properties"]
>;

type Properties = Readonly<Record<string, string>>;

const WINDOW = "site-devices-described";

/**
 * Custom properties of a device. What it is to have in the end is stored before anything is changed: the site can only take all of
 * them away at once, and what is to stay has to survive a crash in between.
 */
export class CustomProperties {
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  judge({ set, remove }: CustomPropertiesPayload): void {
    judgeCustomProperties([...Object.keys(set), ...remove], this.#parts.allowance);
  }

  async run(payload: CustomPropertiesPayload, context: CommandContext) {
    this.judge(payload);
    const { locks, kernel, siteCode } = this.#parts;
    try {
      await locks.hold(context.id, () => this.#run(payload, context));
    } finally {
      kernel.link.wake(ACTIONS_STREAM);
    }
    return { source: siteCode, devices: 1 };
  }

  /** Setting the same again is harmless, so it is run again unless the device has it all. */
  async reconcile(
    _payload: CustomPropertiesPayload,
    { id }: { readonly id: string },
  ): Promise<Reconciliation> {
    const action = await this.#find(id);
    if (action === undefined || !action.isEnded) return "not-run";
    return "succeeded";
  }

  async #run(payload: CustomPropertiesPayload, context: CommandContext): Promise<void> {
    const { kernel } = this.#parts;
    const { resourceId } = payload;
    const asking = commandAsking(kernel.signal);
    const known = await this.#find(context.id);
    if (known?.isEnded === true) return;
    const action = known ?? (await this.#open(payload, context, asking));
    if (action.plan.kind !== "custom-properties") return;
    await this.#reach(action.id, resourceId, action.plan.goal, asking);
  }

  async #open(
    { resourceId, set, remove }: CustomPropertiesPayload,
    { id, actor, expiresAt, signal }: CommandContext,
    asking: Asking,
  ): Promise<StoredAction> {
    const { kernel, site, siteCode } = this.#parts;
    signal.throwIfAborted();
    const target = { kind: "devices", resourceIds: [resourceId] } as const;
    await resolveTarget(this.#parts, target, { isRestart: false, asking });
    const before = await site.customProperties(resourceId, asking);
    const kept = Object.entries(before).filter(([name]) => !remove.includes(name));
    const goal = { ...Object.fromEntries(kept), ...set };
    try {
      await kernel.store.run("openAction", {
        ...{ id, actor, source: siteCode, expiresAt, resourceIds: [resourceId], passedOver: [] },
        plan: { kind: "custom-properties", goal },
        at: kernel.clock.now(),
        windows: windowsOf(this.#parts, WINDOW, true),
      });
    } catch (error) {
      throw asMissingApproval(error);
    }
    return (await this.#find(id)) as StoredAction;
  }

  async #reach(id: string, resourceId: number, goal: Properties, asking: Asking): Promise<void> {
    const { kernel, site } = this.#parts;
    const now = await site.customProperties(resourceId, asking);
    const isSurplus = Object.keys(now).some((name) => !Object.hasOwn(goal, name));
    const action = { id, plan: { kind: "custom-properties", goal } } as const;
    const sending = { action, resourceIds: [resourceId], asking };
    if (isSurplus) {
      await this.#send({ ...sending, request: deleteExtensionDataRequest(resourceId) });
    }
    const missing = Object.entries(goal).filter(
      ([name, value]) => isSurplus || now[name] !== value,
    );
    if (missing.length > 0) {
      const request = setExtensionDataRequest(resourceId, Object.fromEntries(missing));
      await this.#send({ ...sending, request });
    }
    const devices = [{ resourceId, state: "succeeded" as const }];
    await kernel.store.run("noteDevices", { id, at: kernel.clock.now(), devices });
  }

  /** What nobody knows the outcome of is asked again: it sets what is so, or is not yet. */
  async #send(sending: Parameters<typeof sendOnce>[1]): Promise<void> {
    const first = await sendOnce(this.#parts, sending);
    if (first.kind === "taken") return;
    const second = await sendOnce(this.#parts, sending);
    if (second.kind === "taken") return;
    const { resourceIds, action } = sending;
    const reason = "the site's answers did not come; read the device's properties there";
    const devices = resourceIds.map((resourceId) => ({
      resourceId,
      state: "unknown" as const,
      reason,
    }));
    const { store, clock } = this.#parts.kernel;
    await store.run("noteDevices", { id: action.id, at: clock.now(), devices });
  }

  #find(id: string): Promise<StoredAction | undefined> {
    return this.#parts.kernel.store.run("findAction", { id });
  }
}
