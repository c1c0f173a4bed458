import { codeOf, RefusalError } from "@isthmus/shared/errors";
import {
  type ApprovalRule,
  type Consent,
  isConsented,
} from "@isthmus/shared/kernel/service-definition";
import type { WindowUse } from "../../core/actions/action-state.ts";
import type { ActionParts } from "./action-parts.ts";

/** Devices of actions that nobody else consented to are counted by themselves, so that many small ones are one big one. */
const UNAPPROVED = "-unapproved";
const RULE = "guardrails.comgmt-bridge.actions.approval";

/** The consent that an action on so many devices needs; undefined where none. */
export async function neededApproval(
  { kernel, allowance }: ActionParts,
  window: string,
  devices: number,
): Promise<ApprovalRule | undefined> {
  const { approval } = allowance;
  if (approval === undefined) return undefined;
  const windowMs = approval.perMinutes * 60_000;
  const kind = `${window}${UNAPPROVED}`;
  const used = await kernel.store.run("windowUse", { kind, windowMs, now: kernel.clock.now() });
  if (used + devices <= approval.above) return undefined;
  return { signatures: approval.signatures, local: approval.local, rule: RULE };
}

/**
 * Has devices counted in the windows that their action counts against, by the consent that there is. Throws RefusalError
 * `limit-exceeded`, `approval-missing`.
 */
export async function countDevices(
  parts: ActionParts,
  of: { readonly window: string; readonly devices: number; readonly consent: Consent },
  count: (windows: readonly WindowUse[]) => Promise<unknown>,
): Promise<void> {
  const rule = await neededApproval(parts, of.window, of.devices);
  const isConsentedTo = rule !== undefined && isConsented(rule, of.consent);
  try {
    await count(windowsOf(parts, of.window, isConsentedTo));
  } catch (error) {
    throw asMissingApproval(error);
  }
}

function windowsOf(
  { kernel, allowance: { approval } }: ActionParts,
  window: string,
  isConsentedTo: boolean,
): readonly WindowUse[] {
  const { max, perMinutes } = kernel.limits.windowOf(window);
  const all = { kind: window, max, windowMs: perMinutes * 60_000 };
  if (approval === undefined || isConsentedTo) return [all];
  const windowMs = approval.perMinutes * 60_000;
  return [all, { kind: `${window}${UNAPPROVED}`, max: approval.above, windowMs }];
}

/** A full window of actions without consent says by what rule consent is missing. */
function asMissingApproval(error: unknown): unknown {
  const isFull = error instanceof RefusalError && codeOf(error) === "limit-exceeded";
  if (!isFull || !error.rule.endsWith(UNAPPROVED)) return error;
  return new RefusalError(
    "approval-missing",
    RULE,
    "so many devices need a second person's consent, and nobody gave it when the command was judged",
  );
}
