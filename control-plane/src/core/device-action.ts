import type { DEVICE_ACTION_STATES } from "@isthmus/shared/link/site-messages";

export type DeviceActionState = (typeof DEVICE_ACTION_STATES)[number];

/** How far each state without an end is. */
const STEPS: Readonly<Record<string, number>> = { queued: 0, sent: 1, running: 2 };

/** Whether an action has ended on a device. */
export function isEnded(state: DeviceActionState): boolean {
  return !Object.hasOwn(STEPS, state);
}

/**
 * The state of an action on a device after it is told to be `told`:
 *
 *     queued ─▶ sent ─▶ running ─▶ succeeded | failed | cancelled | notApplicable | expired     these stay
 *        └────────┴────────┴─────▶ unknown ─▶ any of those
 *
 * Steps may be left out, and none is taken back: what is told late or twice changes nothing.
 */
export function nextDeviceState(
  present: DeviceActionState,
  told: DeviceActionState,
): DeviceActionState {
  if (isEnded(present)) return present === "unknown" && isEnded(told) ? told : present;
  if (isEnded(told)) return told;
  return (STEPS[told] ?? 0) > (STEPS[present] ?? 0) ? told : present;
}
