import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { describe, expect, test } from "vitest";
import {
  ALERT_DAYS,
  ExpiryGuard,
  type ExpiryWarning,
  type GuardedExpiry,
  thresholdOf,
} from "./expiry-guard.ts";
import { NOON } from "./fixture.ts";

const DAY_MS = 86_400_000;

function expiry(changes: Partial<GuardedExpiry> = {}): GuardedExpiry {
  return {
    what: "issuing-ca",
    title: "the issuing CA's certificate",
    notAfter: NOON + 100 * DAY_MS,
    warnDays: ALERT_DAYS,
    remedy: "make another",
    isVital: true,
    ...changes,
  };
}

/** A guard over `watched`, whose records are kept as the store does: one threshold of one end once. */
function guardOver(watched: GuardedExpiry[]) {
  const clock = new FakeClock(NOON);
  const warnings: ExpiryWarning[] = [];
  const failures: string[] = [];
  const smallest = new Map<string, number>();
  const guard = new ExpiryGuard({
    expiries: () => watched,
    record: async ({ what, notAfter, thresholdDays }) => {
      const key = `${what} ${notAfter}`;
      if (thresholdDays >= (smallest.get(key) ?? Number.POSITIVE_INFINITY)) return false;
      smallest.set(key, thresholdDays);
      return true;
    },
    onWarning: (warning) => warnings.push(warning),
    onRenewalFailed: (what) => failures.push(what),
    clock,
  });
  return { guard, clock, warnings, failures };
}

describe("the guard over expiries", () => {
  test("warns once at each threshold and once past the end", async () => {
    const { guard, clock, warnings } = guardOver([expiry()]);
    for (let day = 0; day <= 105; day += 0.25) {
      clock.set(NOON + day * DAY_MS);
      await guard.look();
    }
    expect(warnings.map(({ thresholdDays }) => thresholdDays)).toEqual([...ALERT_DAYS, 0]);
  });

  test("after a long absence warns of where it stands, and not of all it missed", async () => {
    const { guard, clock, warnings } = guardOver([expiry()]);
    clock.set(NOON + 97 * DAY_MS);
    await guard.look();
    expect(warnings).toEqual([
      {
        what: "issuing-ca",
        title: "the issuing CA's certificate",
        notAfter: NOON + 100 * DAY_MS,
        thresholdDays: 3,
        remedy: "make another",
        at: NOON + 97 * DAY_MS,
      },
    ]);
  });

  test("renews at the first threshold, and does not warn of what it renewed", async () => {
    const watched = [expiry()];
    const renew = async () => {
      watched[0] = expiry({ notAfter: NOON + 1_000 * DAY_MS, renew });
    };
    watched[0] = expiry({ renew });
    const { guard, clock, warnings } = guardOver(watched);
    clock.set(NOON + 9 * DAY_MS);
    await guard.look();
    expect(watched[0]?.notAfter).toBe(NOON + 100 * DAY_MS);
    clock.set(NOON + 10 * DAY_MS);
    await guard.look();
    expect(watched[0]?.notAfter).toBe(NOON + 1_000 * DAY_MS);
    expect(warnings).toEqual([]);
  });

  test("warns of what it could not renew, and looks at the rest", async () => {
    const renew = () => Promise.reject(new Error("no"));
    const { guard, clock, warnings, failures } = guardOver([
      expiry({ what: "scep-ra", renew }),
      expiry(),
    ]);
    clock.set(NOON + 70 * DAY_MS);
    await guard.look();
    expect(failures).toEqual(["scep-ra"]);
    expect(warnings.map(({ what }) => what)).toEqual(["scep-ra", "issuing-ca"]);
  });

  test("lets alone what has no end yet", async () => {
    const { guard, warnings } = guardOver([expiry({ notAfter: undefined })]);
    await guard.look();
    expect(warnings).toEqual([]);
  });
});

test.each([
  [91, undefined],
  [90, 90],
  [60.5, 90],
  [1, 1],
  [0.01, 1],
  [0, 0],
  [-5, 0],
])("%d days left are at threshold %s", (days, threshold) => {
  expect(thresholdOf(days * DAY_MS, ALERT_DAYS)).toBe(threshold);
});
