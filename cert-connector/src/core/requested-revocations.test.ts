import { describe, expect, test } from "vitest";
import type { AuthorityTold } from "./authority-revocation.ts";
import {
  type FinishedRevocation,
  type RequestedRevocationsParts,
  type RevokedOnRequest,
  revocationRound,
} from "./requested-revocations.ts";

const REQUEST = { requestContext: "one", serialNumber: "0a" };
const REVOKED: RevokedOnRequest = {
  id: 1,
  authority: "step",
  serialNumber: "0a",
  certificate: Buffer.from("certificate"),
};
const RESULT: FinishedRevocation = {
  requestContext: "one",
  succeeded: true,
  errorCode: "None",
  errorMessage: null,
};

/** One round whose steps are recorded; tests change one thing. */
function round(
  of: {
    readonly told?: AuthorityTold;
    readonly heldBack?: number;
    readonly changes?: Partial<RequestedRevocationsParts>;
  } = {},
) {
  const steps: string[] = [];
  let finished: readonly { id: number; result: FinishedRevocation }[] = [];
  const step =
    <T>(name: string, value: T) =>
    async (): Promise<T> => {
      steps.push(name);
      return value;
    };
  const parts: RequestedRevocationsParts = {
    tenant: "contoso",
    inbox: {
      keep: step("keep", undefined),
      revoke: async () => {
        const isFirst = !steps.includes("revoke");
        steps.push("revoke");
        return { revoked: isFirst ? [] : [REVOKED], heldBack: of.heldBack ?? 0 };
      },
      confirm: async ({ revoked, byHand }) => {
        steps.push(`confirm ${revoked} ${byHand}`);
        finished = [...revoked, ...byHand].map((id) => ({ id, result: RESULT }));
      },
      finished: async () => finished,
      forget: async (ids) => void steps.push(`forget ${ids}`),
    },
    download: step("download", [REQUEST]),
    upload: async (results) => void steps.push(`upload ${results.length}`),
    revokeAt: step("tell", of.told ?? "revoked"),
    publish: step("publish", undefined),
    now: () => 0,
    onLate: () => void steps.push("late"),
    ...of.changes,
  };
  return { steps, run: () => revocationRound(parts) };
}

const WHOLE = ["revoke", "download", "keep", "revoke", "tell", "publish"];

test("Intune hears of a revocation when its authority knows and the list is out", async () => {
  const { steps, run } = round();
  expect(await run()).toEqual({ downloaded: 1, reported: 1, heldBack: 0, late: 0 });
  expect(steps).toEqual([...WHOLE, "confirm 1 ", "upload 1", "forget 1"]);
});

test("an authority that cannot be told yet holds the report back", async () => {
  const { steps, run } = round({ told: "later" });
  expect(await run()).toMatchObject({ reported: 0, late: 1 });
  expect(steps).toEqual([...WHOLE.slice(0, 5), "late", "publish", "confirm  "]);
});

test("one that never can be told is reported for a person", async () => {
  const { steps, run } = round({ told: "by-hand" });
  expect(await run()).toMatchObject({ reported: 1, late: 0 });
  expect(steps).toContain("confirm  1");
});

test("nothing is fetched while the guardrails hold back what is here", async () => {
  const { steps, run } = round({ heldBack: 3 });
  expect(await run()).toMatchObject({ downloaded: 0, heldBack: 3 });
  expect(steps).toEqual(["revoke"]);
});

describe("a step that fails leaves the rest for the next round", () => {
  const fails = async () => {
    throw new Error("no");
  };
  test("no list, no report", async () => {
    const { steps, run } = round({ changes: { publish: fails } });
    await expect(run()).rejects.toThrow("no");
    expect(steps).toEqual(WHOLE.slice(0, 5));
  });

  test("no report taken, nothing forgotten", async () => {
    const { steps, run } = round({ changes: { upload: fails } });
    await expect(run()).rejects.toThrow("no");
    expect(steps).toEqual([...WHOLE, "confirm 1 "]);
  });
});
