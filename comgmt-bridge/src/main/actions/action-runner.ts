import { RefusalError } from "@isthmus/shared/errors";
import type {
  ApprovalRule,
  CommandContext,
  Reconciliation,
} from "@isthmus/shared/kernel/service-definition";
import {
  ACTIONS_STREAM,
  type ActionTarget,
  type SiteOperation,
} from "@isthmus/shared/link/site-messages";
import {
  actionRefusal,
  judgeCount,
  judgeTarget,
  mostDevices,
} from "../../core/actions/action-allowance.ts";
import type { ActionPlan, DeviceNews, StoredAction } from "../../core/actions/action-state.ts";
import type { ActionRequest } from "../../protocol/admin-service/action-requests.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import { type ActionParts, commandAsking } from "./action-parts.ts";
import { countDevices, neededApproval } from "./approval-threshold.ts";
import { cancelAction } from "./cancel.ts";
import { judgeAgain } from "./judge-again.ts";
import { sendOnce } from "./request-sender.ts";
import { settleRequests } from "./settle-requests.ts";
import { resolveTarget } from "./targets.ts";

export interface TargetedPayload {
  readonly source: string;
  readonly target: ActionTarget;
}

/** What is to be sent, made from the site as it is at this moment. */
export interface Prepared {
  readonly plan: ActionPlan;
  readonly resourceIds: readonly number[];
  /** Devices that it does not apply to. */
  readonly passedOver: readonly DeviceNews[];
  /** For devices that are sent to in one request. */
  readonly request: (resourceIds: readonly number[]) => ActionRequest;
  /** Whether each device has a request of its own; the watcher sends all but the first. */
  readonly isOneByOne: boolean;
}

/** One kind of action. */
export interface ActionKind<Payload extends TargetedPayload> {
  /** The sliding window its devices count in. */
  window(payload: Payload): string;
  isRestart?(payload: Payload): boolean;
  /** The guardrails, as far as the payload alone can be judged. Throws RefusalError. */
  judge(payload: Payload): void;
  /** Throws RefusalError, and what the client throws. */
  prepare(payload: Payload, resourceIds: readonly number[], asking: Asking): Promise<Prepared>;
}

/**
 * Takes a command through its steps:
 *
 *     judge ─▶ resolve ─▶ judge again ─▶ opened (devices counted) ─▶ intended ─▶ POST ─▶ taken ─▶ watched
 *                                            └── the process dies: nothing was sent, or it is looked up at the site
 */
export class ActionRunner<Payload extends TargetedPayload> {
  readonly #parts: ActionParts;
  readonly #kind: ActionKind<Payload>;
  readonly #wake: () => void;

  constructor(parts: ActionParts, kind: ActionKind<Payload>, wake: () => void) {
    this.#parts = parts;
    this.#kind = kind;
    this.#wake = wake;
  }

  judge(payload: Payload): void {
    this.#kind.judge(payload);
    judgeTarget(payload.target, this.#parts.allowance, this.#isRestart(payload));
  }

  /** Only where the guardrails have a threshold is the site asked how many devices it is about. */
  async approval(payload: Payload): Promise<ApprovalRule | undefined> {
    const { allowance, kernel, site } = this.#parts;
    if (allowance.approval === undefined) return undefined;
    const { target } = payload;
    const most = mostDevices(allowance, this.#isRestart(payload));
    const devices =
      target.kind === "devices"
        ? new Set(target.resourceIds).size
        : (await site.members(target.collectionId, most, commandAsking(kernel.signal))).length;
    // What will be refused all the same waits for nobody.
    judgeCount(devices, allowance, this.#isRestart(payload));
    return await neededApproval(this.#parts, this.#kind.window(payload), devices);
  }

  async run(payload: Payload, context: CommandContext): Promise<SiteOperation> {
    this.judge(payload);
    const { locks } = this.#parts;
    try {
      return await locks.hold(context.id, () => this.#run(payload, context));
    } finally {
      this.#parts.kernel.link.wake(ACTIONS_STREAM);
      this.#wake();
    }
  }

  /** After a crash: what is not in the store was not sent, and what may have been is looked up. */
  async reconcile(_payload: Payload, { id }: { readonly id: string }): Promise<Reconciliation> {
    return await this.#parts.locks.hold(id, async () => {
      const action = await this.#find(id);
      if (action === undefined) return "not-run";
      await this.#settle(action);
      const settled = (await this.#find(id)) ?? action;
      this.#wake();
      if (settled.requests.every(({ state }) => state === "absent")) {
        return settled.isEnded ? "succeeded" : "not-run";
      }
      const states = settled.requests.map(({ state }) => state);
      // One that may be found yet, or sent again, is the watch's as after a lost answer: its devices tell how it ends.
      if (states.includes("taken") || states.includes("intended")) return "succeeded";
      if (states.every((state) => state === "refused")) return "failed";
      return "unknown";
    });
  }

  async #run(payload: Payload, context: CommandContext): Promise<SiteOperation> {
    const { kernel } = this.#parts;
    // A cancel may stop it up to here; what is being sent is never cut off, for nobody would know what became of it.
    context.signal.throwIfAborted();
    const asking = commandAsking(kernel.signal);
    const known = await this.#find(context.id);
    if (known !== undefined && !isUnsent(known)) return operationOf(known);
    const resourceIds =
      known === undefined
        ? await resolveTarget(this.#parts, payload.target, {
            isRestart: this.#isRestart(payload),
            asking,
          })
        : await this.#stillAllowed(known, asking);
    const prepared = await this.#kind.prepare(payload, resourceIds, asking);
    if (known === undefined) await this.#open(payload, prepared, context);
    const action = (await this.#find(context.id)) as StoredAction;
    const operation = await this.#begin(action, prepared, asking);
    // Somebody cancelled the command while it was sent; a service that stops goes on later.
    const isCancelled = context.signal.aborted && !kernel.signal.aborted;
    const begun = isCancelled ? await this.#find(context.id) : undefined;
    if (begun !== undefined) await cancelAction(this.#parts, begun);
    return operation;
  }

  async #begin(action: StoredAction, prepared: Prepared, asking: Asking): Promise<SiteOperation> {
    const { id } = action;
    // As it was opened: what the store says of an action does not change when it is taken up again.
    const { plan } = action;
    if (subjectOf(plan) !== subjectOf(prepared.plan)) {
      throw new RefusalError("command-changed", "payload", "the command was another one before");
    }
    const all = action.open.map(({ resourceId }) => resourceId);
    const first = prepared.isOneByOne ? all.slice(0, 1) : all;
    if (first.length > 0) {
      const request = prepared.request(first);
      const sending = { action: { id, plan }, resourceIds: first, request, asking };
      await sendOnce(this.#parts, sending).catch((error: unknown) => {
        // Told of that device; the others have requests of their own.
        if (first.length === all.length) throw error;
      });
    }
    return operationOf((await this.#find(id)) ?? action);
  }

  /** Devices of an action that was opened and not sent: what was judged then is judged again. Throws RefusalError where none is left. */
  async #stillAllowed(known: StoredAction, asking: Asking): Promise<readonly number[]> {
    const resourceIds = known.open.map(({ resourceId }) => resourceId);
    const allowed = await judgeAgain(this.#parts, known, resourceIds, asking);
    if (allowed.length > 0) return allowed;
    const words = "none of its devices may be asked any more";
    throw actionRefusal("target-refused", `targets.${this.#parts.siteCode}`, words);
  }

  async #open(payload: Payload, prepared: Prepared, context: CommandContext): Promise<void> {
    const { kernel, siteCode } = this.#parts;
    const { plan, resourceIds, passedOver } = prepared;
    const { id, actor, expiresAt, consent } = context;
    const opened = { id, actor, source: siteCode, plan, resourceIds, passedOver, expiresAt };
    const counted = { window: this.#kind.window(payload), devices: resourceIds.length, consent };
    await countDevices(this.#parts, counted, (windows) =>
      kernel.store.run("openAction", { ...opened, at: kernel.clock.now(), windows }),
    );
  }

  async #settle(action: StoredAction): Promise<void> {
    const { kernel } = this.#parts;
    try {
      await settleRequests(this.#parts, action, commandAsking(kernel.signal));
    } catch (error) {
      kernel.log.warn({ id: action.id, err: error }, "action.not-looked-up");
    }
  }

  #isRestart(payload: Payload): boolean {
    return this.#kind.isRestart?.(payload) ?? false;
  }

  #find(id: string): Promise<StoredAction | undefined> {
    return this.#parts.kernel.store.run("findAction", { id });
  }
}

/** What an action is about; of an installation the states that its devices had before are no part of it. */
function subjectOf(plan: ActionPlan): string {
  return JSON.stringify(plan.kind === "application" ? { ...plan, before: undefined } : plan);
}

/** Whether nothing that may have reached the site was sent. */
function isUnsent({ requests, isEnded }: StoredAction): boolean {
  return !isEnded && requests.every(({ state }) => state === "absent");
}

function operationOf({ source, count, plan, requests }: StoredAction): SiteOperation {
  const isOne = plan.kind !== "query" || count === 1;
  const taken = isOne ? requests.findLast(({ state }) => state === "taken") : undefined;
  const operationId = taken?.operationId;
  return { source, devices: count, ...(operationId !== undefined && { operationId }) };
}
