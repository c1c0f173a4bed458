import { COMMAND_STATES, type CommandState } from "@isthmus/shared/link/messages";
import { DEVICE_ACTION_STATES } from "@isthmus/shared/link/site-messages";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DeviceActionState, isEnded, nextDeviceState } from "./device-action.ts";
import {
  isActionEnded,
  judgeSiteAction,
  SITE_ACTION_STATES,
  type SiteActionFacts,
  type SiteActionState,
} from "./site-action.ts";

const deviceState = fc.constantFrom<DeviceActionState>(...DEVICE_ACTION_STATES);
const ORDER: readonly DeviceActionState[] = ["queued", "sent", "running"];

describe("the state of an action on a device", () => {
  /** Each state with the one before it. */
  const stepsOf = (told: readonly DeviceActionState[]) => {
    let state: DeviceActionState = "queued";
    return told.map((each) => {
      const before = state;
      state = nextDeviceState(before, each);
      return { before, told: each, after: state };
    });
  };
  const told = fc.array(deviceState, { maxLength: 20 });

  test("is left for good once it has ended, but for unknown, which only an end replaces", () => {
    fc.assert(
      fc.property(told, (states) => {
        for (const { before, after } of stepsOf(states).filter((step) => isEnded(step.before))) {
          expect(before === "unknown" ? isEnded(after) : after === before).toBe(true);
        }
      }),
    );
  });

  test("never goes back, and is told the same twice without a difference", () => {
    fc.assert(
      fc.property(told, (states) => {
        for (const step of stepsOf(states)) {
          expect(nextDeviceState(step.after, step.told)).toBe(step.after);
          const [from, to] = [step.before, step.after].map((state) => ORDER.indexOf(state));
          expect(isEnded(step.after) || Number(to) >= Number(from)).toBe(true);
        }
      }),
    );
  });

  test("is the same end whatever came before it", () => {
    const steps = fc.array(fc.constantFrom<DeviceActionState>(...ORDER, "unknown"), {
      maxLength: 9,
    });
    const ends = deviceState.filter((state) => isEnded(state) && state !== "unknown");
    fc.assert(
      fc.property(steps, ends, (before, end) => {
        expect([...before, end].reduce(nextDeviceState, "queued")).toBe(end);
      }),
    );
  });
});

const facts: fc.Arbitrary<SiteActionFacts> = fc
  .record({
    kind: fc.constantFrom("site.notify", "site.query", "site.recovery-key"),
    state: fc.constantFrom<SiteActionState>(...SITE_ACTION_STATES),
    command: fc.constantFrom<CommandState>(...COMMAND_STATES),
    isWaiting: fc.boolean(),
    expectedDevices: fc.option(fc.nat(5), { nil: undefined }),
    devices: fc.nat(5),
    isOfNamedDevices: fc.boolean(),
    openDevices: fc.nat(5),
    unknownDevices: fc.nat(5),
    devicesHeardOf: fc.nat(5),
  })
  .map((each) => ({
    ...each,
    openDevices: Math.min(each.openDevices, each.devices),
    unknownDevices: Math.min(each.unknownDevices, Math.max(0, each.devices - each.openDevices)),
    devicesHeardOf: Math.min(each.devicesHeardOf, each.devices),
  }));

describe("an action", () => {
  test("that has ended stays as it is, but for unknown, which only another end replaces", () => {
    fc.assert(
      fc.property(facts, (known) => {
        const { state } = judgeSiteAction(known);
        if (isActionEnded(known.state) && known.state !== "unknown")
          expect(state).toBe(known.state);
        if (known.state === "unknown") expect(isActionEnded(state)).toBe(true);
      }),
    );
  });

  test("ends no later than its command does badly, and leaves no device open then", () => {
    fc.assert(
      fc.property(facts, (known) => {
        fc.pre(["refused", "failed", "expired", "cancelled", "unknown"].includes(known.command));
        fc.pre(!isActionEnded(known.state));
        // Of a command that nobody remembers the devices may have told all.
        fc.pre(known.command !== "unknown" || known.openDevices + known.unknownDevices > 0);
        const verdict = judgeSiteAction(known);
        expect(verdict.state).toBe(known.command);
        expect(verdict.openDevices && isEnded(verdict.openDevices)).toBe(true);
      }),
    );
  });

  test("is complete when every device that the bridge counted has its end, not before", () => {
    const ended = { kind: "site.notify", state: "sent", command: "succeeded" } as const;
    const known = { ...ended, isWaiting: false, isOfNamedDevices: false, unknownDevices: 0 };
    const judge = (of: Pick<SiteActionFacts, "devices" | "openDevices" | "expectedDevices">) =>
      judgeSiteAction({ ...known, devicesHeardOf: of.devices, ...of }).state;
    expect(judge({ expectedDevices: 2, devices: 1, openDevices: 0 })).toBe("running");
    expect(judge({ expectedDevices: 2, devices: 2, openDevices: 1 })).toBe("running");
    expect(judge({ expectedDevices: 2, devices: 2, openDevices: 0 })).toBe("completed");
    expect(judge({ expectedDevices: 0, devices: 0, openDevices: 0 })).toBe("completed");
    expect(judge({ expectedDevices: undefined, devices: 0, openDevices: 0 })).toBe("running");
  });

  test("waits for approval while the bridge has it, says so, and nothing of it has begun", () => {
    const asked = { kind: "site.notify", state: "sent", command: "accepted" } as const;
    const had = { ...asked, isOfNamedDevices: true, unknownDevices: 0 };
    const devices = { devices: 1, openDevices: 1, devicesHeardOf: 0, expectedDevices: undefined };
    const known = { ...had, ...devices, isWaiting: true };
    expect(judgeSiteAction(known)).toEqual({ state: "waitingForApproval" });
    expect(isActionEnded("waitingForApproval")).toBe(false);
    expect(judgeSiteAction({ ...known, isWaiting: false }).state).toBe("sent");
    expect(judgeSiteAction({ ...known, command: "running" }).state).toBe("sent");
    expect(judgeSiteAction({ ...known, devicesHeardOf: 1 }).state).toBe("running");
    expect(judgeSiteAction({ ...known, command: "expired" }).state).toBe("expired");
  });

  test("whose command nobody remembers is complete once each of its devices has told its end", () => {
    const forgotten = { kind: "site.notify", state: "unknown", command: "unknown" } as const;
    const told = { devices: 2, openDevices: 0, unknownDevices: 0, devicesHeardOf: 2 };
    const known = { ...forgotten, ...told, isWaiting: false, expectedDevices: undefined };
    const judge = (more: Partial<SiteActionFacts>) =>
      judgeSiteAction({ ...known, isOfNamedDevices: true, ...more }).state;
    expect(judge({})).toBe("completed");
    expect(judge({ unknownDevices: 1 })).toBe("unknown");
    expect(judge({ openDevices: 1 })).toBe("unknown");
    expect(judge({ devices: 0 })).toBe("unknown");
    expect(judge({ kind: "site.recovery-key" })).toBe("unknown");
    // Of a collection nobody knows how many they are, unless the bridge said so.
    expect(judge({ isOfNamedDevices: false })).toBe("unknown");
    expect(judge({ isOfNamedDevices: false, expectedDevices: 3 })).toBe("unknown");
    expect(judge({ isOfNamedDevices: false, expectedDevices: 2 })).toBe("completed");
  });

  test("of properties goes on until its device tells its end", () => {
    const known = {
      ...{ devices: 1, devicesHeardOf: 0, expectedDevices: 1, isWaiting: false },
      ...{ isOfNamedDevices: true, unknownDevices: 0 },
      kind: "site.custom-properties",
      ...({ state: "sent", command: "succeeded" } as const),
    } as const;
    expect(judgeSiteAction({ ...known, openDevices: 1 })).toEqual({ state: "running" });
    expect(judgeSiteAction({ ...known, openDevices: 0 })).toEqual({ state: "completed" });
  });

  test("that no device tells of is over with its command", () => {
    const known = {
      ...{ devices: 1, openDevices: 1, devicesHeardOf: 0, expectedDevices: undefined },
      ...{ isWaiting: false, isOfNamedDevices: true, unknownDevices: 0 },
    };
    for (const kind of ["site.recovery-key", "site.refresh"] as const) {
      const verdict = judgeSiteAction({ ...known, kind, state: "sent", command: "succeeded" });
      expect(verdict).toEqual({ state: "completed", openDevices: "succeeded" });
    }
  });
});
