import type { RefusalError } from "@isthmus/shared/errors";
import { describe, expect, test } from "vitest";
import { openPort } from "../testing/gateway-under-test.ts";
import { cutAfter, device, isAlive, otherIdentity, startLive } from "../testing/live-gateway.ts";

const MINUTE_MS = 60_000;

describe("the guardrails' window of session cuts", () => {
  const limits = { "session-cuts": { max: 1, perMinutes: 60 } };
  const removed = (...ids: string[]) => ids.map((id) => device(id, { removed: true }));
  const refusalOf = async (act: Promise<unknown>): Promise<Partial<RefusalError>> =>
    act.then(
      () => ({ code: "not refused" }),
      (error) => error,
    );

  test("refuses an update that would cut more, whole, and lets one within it pass", async () => {
    await using all = await startLive({ limits });
    const [socket, other] = [await all.open(), await all.open(otherIdentity)];
    const update = { version: 2, isSnapshot: false, devices: removed("d1", "d2") };
    const refusal = await refusalOf(all.run("devices.update", update));
    expect(refusal).toMatchObject({ rule: "guardrails.commands.limits.session-cuts" });
    expect([await isAlive(socket), await isAlive(other)]).toEqual([true, true]);
    await all.open();
    const page = await all.gateway.kernel.store.run("auditPage", 0);
    expect(page.at(-1)?.event).toBe("devices.refused");
    const health = all.gateway.kernel.checks.find((check) => check.name === "device-states");
    expect(await health?.run()).toMatchObject({ status: "warning" });
  });

  test("lets an update of one device pass and then refuses the next", async () => {
    await using all = await startLive({ limits });
    const [socket, other] = [await all.open(), await all.open(otherIdentity)];
    const update = { version: 2, isSnapshot: false, devices: removed("d1") };
    await cutAfter(socket, () => all.run("devices.update", update));
    const next = { version: 3, isSnapshot: false, devices: removed("d2") };
    expect((await refusalOf(all.run("devices.update", next))).code).toBe("limit-exceeded");
    expect(await isAlive(other)).toBe(true);
  });

  test("holds for snapshots and for policies of the cloud", async () => {
    await using all = await startLive({ limits });
    const sockets = [await all.open(), await all.open(otherIdentity)];
    const snapshot = { version: 2, isSnapshot: true, devices: [] };
    expect((await refusalOf(all.run("devices.update", snapshot))).code).toBe("limit-exceeded");
    const nothing = all.gateway.configure({ policies: [] });
    expect((await refusalOf(nothing)).code).toBe("limit-exceeded");
    expect(await Promise.all(sockets.map(isAlive))).toEqual([true, true]);
    await all.open();
  });

  test("a refused update stops the link from confirming the states", async () => {
    await using all = await startLive({ limits });
    await all.gateway.configure({
      policies: openPort(all.target.port),
      devices: { maximumAgeMinutes: 10, graceMinutes: 0 },
    });
    await Promise.all([all.open(), all.open(otherIdentity)]);
    const update = { version: 2, isSnapshot: false, devices: removed("d1", "d2") };
    await refusalOf(all.run("devices.update", update));
    all.gateway.kernel.clock.advance(11 * MINUTE_MS);
    expect(await all.refusal()).toMatchObject({ code: "device-state-outdated" });
  });
});
