import type {
  ApprovalRule,
  CommandContext,
  Consent,
} from "@isthmus/shared/kernel/service-definition";
import type { ActionTarget, siteCommandPayloads } from "@isthmus/shared/link/site-messages";
import type { z } from "zod";
import { judgeRecoveryKeys } from "../../core/actions/action-allowance.ts";
import { recoveryKeyRequest } from "../../protocol/admin-service/action-requests.ts";
import { readRecoveryKey } from "../../protocol/admin-service/action-rows.ts";
import { type ActionParts, commandAsking } from "./action-parts.ts";
import { countDevices, neededApproval } from "./approval-threshold.ts";
import { resolveTarget } from "./targets.ts";

export type RecoveryKeyPayload = z.output<(typeof siteCommandPayloads)["site.recovery-key"]>;

/** Own limit: encrypted volumes of a device, with all the keys that the site remembers of them. */
const MAX_KEYS = 50;
const WINDOW = "site-recovery-keys";

/**
 * BitLocker recovery keys, in the result of the command and nowhere else: neither log nor audit nor a table of actions ever holds
 * one. The device makes new ones once the site has shown them.
 */
export class RecoveryKeys {
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  judge(_payload: RecoveryKeyPayload): void {
    judgeRecoveryKeys(this.#parts.allowance);
  }

  approval(): Promise<ApprovalRule | undefined> {
    return neededApproval(this.#parts, WINDOW, 1);
  }

  async run(payload: RecoveryKeyPayload, { id, actor, signal, consent }: CommandContext) {
    this.judge(payload);
    signal.throwIfAborted();
    const { kernel, site, client, siteCode } = this.#parts;
    const { resourceId } = payload;
    const asking = commandAsking(kernel.signal);
    const target: ActionTarget = { kind: "devices", resourceIds: [resourceId] };
    await resolveTarget(this.#parts, target, { isRestart: false, asking });
    const found = (await site.recoveryKeyIds(resourceId, asking)).slice(0, MAX_KEYS);
    await this.#count(consent);
    await this.#record("recovery-keys.intended", { id, actor, resourceId, keys: found.length });
    const keys = [];
    for (const { recoveryKeyId, volumeTypeId } of found) {
      const { path, argument, asked } = recoveryKeyRequest(resourceId, recoveryKeyId);
      const recoveryKey = readRecoveryKey(await client.call(path, argument, { ...asking, asked }));
      const volume = volumeTypeId === undefined ? {} : { volumeTypeId };
      keys.push({ id: recoveryKeyId, ...volume, recoveryKey });
    }
    await this.#record("recovery-keys.shown", { id, actor, resourceId, keys: keys.length });
    return { source: siteCode, devices: 1, keys };
  }

  /** Throws RefusalError `limit-exceeded`, `approval-missing`. */
  async #count(consent: Consent): Promise<void> {
    const { store, clock } = this.#parts.kernel;
    await countDevices(this.#parts, { window: WINDOW, devices: 1, consent }, async (windows) => {
      for (const window of windows) {
        await store.run("consumeLimit", { ...window, count: 1, now: clock.now() });
      }
    });
  }

  #record(event: string, payload: Readonly<Record<string, unknown>>): Promise<void> {
    const { store, clock } = this.#parts.kernel;
    return store.run("recordAudit", { at: clock.now(), event, payload });
  }
}
