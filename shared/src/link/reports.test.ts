import { expect, test, vi } from "vitest";
import { REPORT_INTERVAL_MS, Reports, SECOND_REPORT_MS } from "./reports.ts";

test("health is reported at once, again once the start has settled, then every minute", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const sent: string[] = [];
    const reports = new Reports({
      hooks: {
        health: async () => ({ service: "cert-connector", version: "1", startedAt: 1, checks: [] }),
        auditHead: async () => undefined,
      } as never,
      log: { warn: () => {} } as never,
      send: ({ type }) => void sent.push(type),
    });
    const countAfter = async (milliseconds: number) => {
      vi.advanceTimersByTime(milliseconds);
      await reports.tick();
      return sent.length;
    };
    expect(await countAfter(0)).toBe(1);
    expect(await countAfter(SECOND_REPORT_MS - 1)).toBe(1);
    expect(await countAfter(1)).toBe(2);
    expect(await countAfter(REPORT_INTERVAL_MS - 1)).toBe(2);
    expect(await countAfter(1)).toBe(3);
  } finally {
    vi.useRealTimers();
  }
});
