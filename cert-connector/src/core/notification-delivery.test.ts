import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { describe, expect, test } from "vitest";
import type { ClaimedNotification, NotificationOutbox } from "./notification.ts";
import { MAX_AGE_MS, NotificationDelivery } from "./notification-delivery.ts";

const NOON = new FakeClock().now();
const claimed: ClaimedNotification = {
  id: 7,
  epoch: 3,
  attempts: 1,
  createdAt: NOON,
  target: { kind: "intune", name: "contoso" },
  event: "success",
  payload: {
    transactionId: "t",
    certificateRequest: "MII=",
    certificateThumbprint: "AB",
    certificateSerialNumber: "01",
    certificateExpirationDateUtc: "2027-01-01T00:00:00.000Z",
    issuingCertificateAuthority: "CN=CA",
    caConfiguration: "embedded",
    certificateAuthority: "CA",
  },
};

function delivery(
  answer: () => Promise<void>,
  of: { readonly notification?: ClaimedNotification; readonly revoke?: () => Promise<void> } = {},
) {
  const clock = new FakeClock(NOON);
  const steps: { readonly step: string; readonly of: unknown }[] = [];
  const record = (step: string) => async (argument: unknown) => {
    steps.push({ step, of: argument });
  };
  let waiting = [of.notification ?? claimed];
  const outbox: NotificationOutbox = {
    claim: async () => waiting.splice(0),
    accepted: record("accepted"),
    deferred: record("deferred"),
    refused: record("refused"),
    stateOf: async () => "waiting",
    release: async () => 0,
  };
  const it = new NotificationDelivery({
    outbox,
    notifiers: { intune: { notify: answer } },
    revoke: async (payload) => {
      await record("revoked")(payload.certificateSerialNumber);
      await of.revoke?.();
    },
    owner: "test",
    clock,
    random: systemRandom,
    report: () => undefined,
  });
  const again = (attempts: number) => {
    waiting = [{ ...claimed, attempts }];
  };
  return { it, clock, steps, again };
}

function nextAtOf(steps: readonly { readonly of: unknown }[]): number {
  const [deferred] = steps as readonly { readonly of: { readonly nextAt: number } }[];
  return deferred?.of.nextAt ?? Number.NaN;
}

const fails = (error: Error) => async () => {
  throw error;
};

test("what was taken is accepted under its claim", async () => {
  const { it, steps } = delivery(async () => undefined);
  expect(await it.deliver(7)).toBe("accepted");
  expect(steps).toEqual([{ step: "accepted", of: { id: 7, epoch: 3, at: NOON } }]);
});

test("what somebody else has claimed stands where it stood", async () => {
  const { it } = delivery(async () => undefined);
  await it.deliver(7);
  expect(await it.deliver(7)).toBe("waiting");
});

describe("what was not taken", () => {
  test.each([
    [1, 1_000, 2_000],
    [4, 8_000, 16_000],
    [30, 450_000, 900_000],
  ])("after %i attempts waits for %i to %i ms", async (attempts, least, most) => {
    const { it, steps, again } = delivery(fails(new ConnectorError("intune-busy", "no")));
    again(attempts);
    expect(await it.deliver(7)).toBe("waiting");
    const nextAt = nextAtOf(steps);
    expect(nextAt - NOON).toBeGreaterThanOrEqual(least);
    expect(nextAt - NOON).toBeLessThanOrEqual(most);
  });

  test.each([
    [60_000, 60_000],
    [10_000_000, 3_600_000],
  ])("waits as long as it is asked to: %i ms gives %i", async (retryAfterMs, least) => {
    const error = Object.assign(new ConnectorError("intune-busy", "no"), { retryAfterMs });
    const { it, steps } = delivery(fails(error));
    await it.deliver(7);
    const nextAt = nextAtOf(steps);
    expect(nextAt - NOON).toBeGreaterThanOrEqual(least);
    expect(nextAt - NOON).toBeLessThanOrEqual(least + 2_000);
  });

  test("for a reason that nobody foresaw is told without detail", async () => {
    const { it, steps } = delivery(fails(new Error("password hunter2")));
    expect(await it.deliver(7)).toBe("waiting");
    expect(JSON.stringify(steps)).not.toContain("hunter2");
  });
});

describe("what is refused for good", () => {
  const refusal = new RefusalError("intune-challenge-expired", "intune.ChallengeExpired", "no");

  test("loses its certificate before it is closed", async () => {
    const { it, steps } = delivery(fails(refusal));
    expect(await it.deliver(7)).toBe("refused");
    expect(steps.map(({ step }) => step)).toEqual(["revoked", "refused"]);
    expect(steps[1]?.of).toMatchObject({ code: refusal.code, rule: refusal.rule });
  });

  test("stays open where the certificate could not be revoked", async () => {
    const revoke = fails(new ConnectorError("store-busy", "no"));
    const { it, steps } = delivery(fails(refusal), { revoke });
    expect(await it.deliver(7)).toBe("waiting");
    expect(steps.map(({ step }) => step)).toEqual(["revoked", "deferred"]);
  });

  test("takes nothing with it where there is no certificate", async () => {
    const payload = {
      transactionId: "t",
      certificateRequest: "MII=",
      hResult: -1,
      errorDescription: "no",
    };
    const notification = { ...claimed, event: "failure", payload } as const;
    const { it, steps } = delivery(fails(refusal), { notification });
    expect(await it.deliver(7)).toBe("refused");
    expect(steps.map(({ step }) => step)).toEqual(["refused"]);
  });
});

test.each([
  [0, "accepted"],
  [1, "refused"],
])("after seven days and %i ms a notification is %s", async (more, state) => {
  const { it, clock } = delivery(async () => undefined);
  clock.advance(MAX_AGE_MS + more);
  expect(await it.deliver(7)).toBe(state);
});
