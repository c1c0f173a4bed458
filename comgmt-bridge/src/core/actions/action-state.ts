import type { DEVICE_ACTION_STATES, Notification } from "@isthmus/shared/link/site-messages";

/** What passes between those who act at the site and the store, which remembers what was asked before it is asked. */

/** What the watcher needs to know of an action beside its requests. Never a secret, never a script's parameters. */
export type ActionPlan =
  | { readonly kind: "notify"; readonly notification: Notification; readonly type: number }
  | { readonly kind: "script"; readonly scriptGuid: string; readonly version: string }
  | { readonly kind: "query"; readonly query: string }
  | {
      readonly kind: "application";
      readonly applicationId: string;
      readonly action: "install" | "uninstall" | "repair";
      /** The state that each device was in before, by ResourceID. */
      readonly before: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: "custom-properties";
      /** All that the device is to have once it is done. */
      readonly goal: Readonly<Record<string, string>>;
    };

export type DeviceState = (typeof DEVICE_ACTION_STATES)[number];

const OPEN_STATES: readonly DeviceState[] = ["queued", "sent", "running"];

export function isFinal(state: DeviceState): boolean {
  return !OPEN_STATES.includes(state);
}

/** How a device fares, as it is told to the control plane. */
export interface DeviceNews {
  readonly resourceId: number;
  readonly state: DeviceState;
  readonly errorCode?: number;
  readonly reason?: string;
  readonly exitCode?: number;
  readonly output?: string;
  readonly isTruncated?: boolean;
}

/**
 * A request to the site:
 *
 *     intended ──answered──▶ taken      the site has it; it may number it
 *        ├──answered──▶ refused         it was never begun
 *        └──no answer; looked up──▶ taken | absent | lost (nobody knows, and nobody will)
 */
export type RequestState = "intended" | "taken" | "refused" | "absent" | "lost";

export interface StoredRequest {
  readonly n: number;
  readonly state: RequestState;
  /** SHA-256, hex, over path, a line end and the body. */
  readonly digest: string;
  readonly intendedAt: number;
  readonly operationId: number | undefined;
  readonly takenAt: number | undefined;
  /** Whether the site's word on when it was asked for is kept, by which a number that is given again is known. */
  readonly isTimed: boolean;
}

export interface StoredDevice {
  readonly resourceId: number;
  readonly state: DeviceState;
  /** The request that it is in; 0 before the first. */
  readonly request: number;
  /** How often it was asked. */
  readonly attempts: number;
}

export interface StoredAction {
  readonly id: string;
  readonly source: string;
  readonly plan: ActionPlan;
  readonly at: number;
  readonly expiresAt: number;
  readonly isEnded: boolean;
  /** How many devices it is for. */
  readonly count: number;
  readonly requests: readonly StoredRequest[];
  /** Those whose state is not final. */
  readonly open: readonly StoredDevice[];
}

/** A sliding window that an action counts against, in the transaction in which it is opened. */
export interface WindowUse {
  readonly kind: string;
  readonly max: number;
  readonly windowMs: number;
}

export interface NewAction {
  readonly id: string;
  readonly actor: string;
  readonly source: string;
  readonly plan: ActionPlan;
  readonly resourceIds: readonly number[];
  /** Devices that are final at once: it does not apply to them. */
  readonly passedOver: readonly DeviceNews[];
  readonly at: number;
  readonly expiresAt: number;
  readonly windows: readonly WindowUse[];
}
