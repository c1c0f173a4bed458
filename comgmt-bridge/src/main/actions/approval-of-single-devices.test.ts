import { expect, test } from "vitest";
import { FIRST, HOUR_MS, startActingBridge } from "../../testing/acting-bridge.ts";

/** Actions that are for one device each: many of them are as much as one action on many devices. */
const KINDS = [
  ["site.custom-properties", (resourceId: number) => ({ resourceId, set: { AssetTag: "A-1" } })],
  ["site.recovery-key", (resourceId: number) => ({ resourceId })],
] as const;

test.each(KINDS)(
  "%s on more devices than the threshold waits for a second person",
  async (kind, payloadOf) => {
    await using it = await startActingBridge({ actions: { approval: { above: 2 } } });
    for (const number of [0, 1]) {
      await it.run(kind, payloadOf(FIRST + number), `c${number}`);
    }
    expect(await it.run(kind, payloadOf(FIRST + 2), "c2")).toBe("await-approval");
    // Judged before the two were counted, and run behind them.
    await expect(it.runJudged(kind, payloadOf(FIRST + 2), "c3")).rejects.toMatchObject({
      code: "approval-missing",
      rule: "guardrails.comgmt-bridge.actions.approval",
    });
    const consent = { isLocal: true, signatures: 0 };
    await it.run(kind, payloadOf(FIRST + 2), "c4", { consent });
    it.restart();
    expect(await it.run(kind, payloadOf(FIRST + 3), "c5")).toBe("await-approval");
    it.clock.advance(2 * HOUR_MS);
    expect(await it.run(kind, payloadOf(FIRST + 3), "c6")).not.toBe("await-approval");
  },
);

test.each(KINDS)("%s waits each time where the threshold is nought", async (kind, payloadOf) => {
  await using it = await startActingBridge({ actions: { approval: { above: 0 } } });
  expect(await it.run(kind, payloadOf(FIRST))).toBe("await-approval");
});
