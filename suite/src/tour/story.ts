import type { DeviceIdentity } from "../device/scep-device.ts";
import type { Suite } from "../suite.ts";

/** What the steps of the tour hand on to each other. */
export interface Story {
  readonly suite: Suite;
  /** The temporary folder, for a second suite beside the first. */
  readonly folder: string;
  challenge?: string;
  identity?: DeviceIdentity;
}

/** One step: does something with real processes, checks it, and returns what it saw, for a person. */
export interface Step {
  readonly name: string;
  run(story: Story): Promise<string>;
}

/** The device's certificate as the last step left it. */
export function identityIn(story: Story): DeviceIdentity {
  return required(story.identity, "no certificate: an earlier step did not run");
}

export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(what);
  return value;
}

/** Throws with `what` unless `isTrue`. */
export function expect(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new Error(what);
}
