import { RefusalError } from "@isthmus/shared/errors";
import type { ActionTarget } from "@isthmus/shared/link/site-messages";

/** What somebody on premises allows to be done at the site; `config/action-guardrails.ts` says what each key means. */
export interface ActionAllowance {
  readonly targets: {
    readonly source: string;
    readonly collections: readonly string[];
    readonly devices: readonly number[];
    readonly never: readonly string[];
  };
  readonly maxDevicesPerAction: number;
  readonly notifications: readonly string[];
  readonly restart?: { readonly maxDevicesPerAction: number } | undefined;
  readonly applications: readonly {
    readonly applicationId: string;
    readonly actions: readonly string[];
  }[];
  readonly allowQueries: boolean;
  readonly allowRecoveryKeys: boolean;
  readonly customProperties: readonly string[];
}

/** Which of the devices are members of collections that the guardrails name. */
export interface KnownMembers {
  /** Of any of `targets.collections`. */
  readonly allowed: ReadonlySet<number>;
  /** Of any of `targets.never`. */
  readonly never: ReadonlySet<number>;
}

const RULE = "guardrails.comgmt-bridge.actions";

export function actionRefusal(code: string, key: string, message: string): RefusalError {
  return new RefusalError(code, `${RULE}.${key}`, message);
}

/** Throws RefusalError `notification-refused`. */
export function judgeNotification(notification: string, allowance: ActionAllowance): void {
  if (notification === "restart") {
    if (allowance.restart !== undefined) return;
    throw actionRefusal("notification-refused", "restart", "devices may not be restarted");
  }
  if (allowance.notifications.includes(notification)) return;
  throw actionRefusal("notification-refused", "notifications", `${notification} is not listed`);
}

/** Throws RefusalError `application-refused`. */
export function judgeApplication(
  applicationId: string,
  action: string,
  { applications }: ActionAllowance,
): void {
  const listed = applications.find((each) => each.applicationId === applicationId.toLowerCase());
  if (listed?.actions.includes(action)) return;
  const what = listed === undefined ? "the application is" : `${action} of it is`;
  throw actionRefusal("application-refused", "applications", `${what} not listed`);
}

/** Throws RefusalError `queries-refused`, `recovery-keys-refused`, `custom-property-refused`. */
export function judgeQueries({ allowQueries }: ActionAllowance): void {
  if (allowQueries) return;
  throw actionRefusal("queries-refused", "allowQueries", "queries may not be sent to devices");
}

export function judgeRecoveryKeys({ allowRecoveryKeys }: ActionAllowance): void {
  if (allowRecoveryKeys) return;
  const message = "recovery keys may not be shown to the control plane";
  throw actionRefusal("recovery-keys-refused", "allowRecoveryKeys", message);
}

export function judgeCustomProperties(
  names: readonly string[],
  { customProperties }: ActionAllowance,
): void {
  const refused = names.find((name) => !customProperties.includes(name));
  if (refused === undefined) return;
  const message = `${JSON.stringify(refused)} is not listed`;
  throw actionRefusal("custom-property-refused", "customProperties", message);
}

/** How many devices one action may touch. */
export function mostDevices(allowance: ActionAllowance, isRestart: boolean): number {
  const { maxDevicesPerAction, restart } = allowance;
  if (!isRestart) return maxDevicesPerAction;
  return Math.min(restart?.maxDevicesPerAction ?? 0, maxDevicesPerAction);
}

/** What can be said before the site is asked. Throws RefusalError `target-refused`, `devices-too-many`. */
export function judgeTarget(
  target: ActionTarget,
  allowance: ActionAllowance,
  isRestart = false,
): void {
  if (target.kind === "devices") {
    judgeCount(new Set(target.resourceIds).size, allowance, isRestart);
    return;
  }
  const { source, collections, never } = allowance.targets;
  const { collectionId } = target;
  if (!collections.includes(collectionId) || never.includes(collectionId)) {
    const message = `the collection ${collectionId} may not be targeted`;
    throw actionRefusal("target-refused", `targets.${source}.collections`, message);
  }
}

/** What the site's answer says of the very devices. Throws RefusalError `target-empty`, `target-refused`, `devices-too-many`. */
export function judgeDevices(
  resourceIds: readonly number[],
  members: KnownMembers,
  allowance: ActionAllowance,
  isRestart = false,
): void {
  if (resourceIds.length === 0) {
    throw new RefusalError("target-empty", "payload.target", "the target has no devices");
  }
  judgeCount(resourceIds.length, allowance, isRestart);
  const { source, devices } = allowance.targets;
  const foreign = resourceIds.filter((id) => !members.allowed.has(id) && !devices.includes(id));
  if (foreign.length > 0) {
    const message = `${foreign.length} devices, ${foreign[0]} among them, are in no collection that may be targeted`;
    throw actionRefusal("target-refused", `targets.${source}`, message);
  }
  const protectedOnes = resourceIds.filter((id) => members.never.has(id));
  if (protectedOnes.length > 0) {
    const message = `${protectedOnes.length} devices, ${protectedOnes[0]} among them, are in a collection that is never touched`;
    throw actionRefusal("target-refused", `targets.${source}.never`, message);
  }
}

/** `count` may stop one above the most. Throws RefusalError `devices-too-many`. */
export function judgeCount(count: number, allowance: ActionAllowance, isRestart: boolean): void {
  const most = mostDevices(allowance, isRestart);
  if (count <= most) return;
  const isRestartLimit = isRestart && most < allowance.maxDevicesPerAction;
  const key = isRestartLimit ? "restart.maxDevicesPerAction" : "maxDevicesPerAction";
  throw actionRefusal(
    "devices-too-many",
    key,
    `there are more than the ${most} devices of one action`,
  );
}
