import type {
  ApprovalRule,
  CommandContext,
  Reconciliation,
} from "@isthmus/shared/kernel/service-definition";
import {
  ACTIONS_STREAM,
  type ActionTarget,
  type siteCommandPayloads,
} from "@isthmus/shared/link/site-messages";
import type { z } from "zod";
import { judgeCustomProperties } from "../../core/actions/action-allowance.ts";
import type { StoredAction } from "../../core/actions/action-state.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import { type ActionParts, commandAsking } from "./action-parts.ts";
import { countDevices, neededApproval } from "./approval-threshold.ts";
import { reachCustomProperties } from "./reach-custom-properties.ts";
import { isNotYet } from "./request-sender.ts";
import { resolveTarget } from "./targets.ts";

export type CustomPropertiesPayload = z.output<
  (typeof siteCommandPayloads)["site.custom-properties"]
>;

const WINDOW = "site-devices-described";

/**
 * Custom properties of a device. What it is to have in the end is stored before anything is changed: the site can only take all of
 * them away at once, and what is to stay has to survive a crash in between.
 */
export class CustomProperties {
  readonly #parts: ActionParts;
  readonly #wake: () => void;

  constructor(parts: ActionParts, wake: () => void) {
    this.#parts = parts;
    this.#wake = wake;
  }

  judge({ set, remove }: CustomPropertiesPayload): void {
    judgeCustomProperties([...Object.keys(set), ...remove], this.#parts.allowance);
  }

  approval(): Promise<ApprovalRule | undefined> {
    return neededApproval(this.#parts, WINDOW, 1);
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

  /** Setting the same again is harmless. */
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
    const asking = commandAsking(kernel.signal);
    const known = await this.#find(context.id);
    if (known?.isEnded === true) return;
    const action = known ?? (await this.#open(payload, context, asking));
    this.#wake();
    // What cannot be sent now, or whose answer is lost, the watcher goes on with.
    await reachCustomProperties(this.#parts, action, asking).catch((error: unknown) => {
      if (!isNotYet(error)) throw error;
    });
  }

  async #open(
    { resourceId, set, remove }: CustomPropertiesPayload,
    { id, actor, expiresAt, signal, consent }: CommandContext,
    asking: Asking,
  ): Promise<StoredAction> {
    const { kernel, site, siteCode } = this.#parts;
    signal.throwIfAborted();
    const target: ActionTarget = { kind: "devices", resourceIds: [resourceId] };
    await resolveTarget(this.#parts, target, { isRestart: false, asking });
    const before = await site.customProperties(resourceId, asking);
    const kept = Object.entries(before).filter(([name]) => !remove.includes(name));
    const goal = { ...Object.fromEntries(kept), ...set };
    const counted = { window: WINDOW, devices: 1, consent };
    await countDevices(this.#parts, counted, (windows) =>
      kernel.store.run("openAction", {
        ...{ id, actor, source: siteCode, expiresAt, resourceIds: [resourceId], passedOver: [] },
        plan: { kind: "custom-properties", goal },
        ...{ at: kernel.clock.now(), windows },
      }),
    );
    return (await this.#find(id)) as StoredAction;
  }

  #find(id: string): Promise<StoredAction | undefined> {
    return this.#parts.kernel.store.run("findAction", { id });
  }
}
