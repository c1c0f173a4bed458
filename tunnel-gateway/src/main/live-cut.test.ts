import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import {
  connectThrough,
  echo,
  type GatewayUnderTest,
  listOf,
  openPort,
  startTarget,
} from "../testing/gateway-under-test.ts";
import {
  authority,
  CUT_WITHIN_MS,
  cutAfter,
  device,
  identity,
  isAlive,
  otherIdentity,
  startLive,
} from "../testing/live-gateway.ts";
import { deviceUri, issueTo } from "../testing/test-certificates.ts";

const MINUTE_MS = 60_000;

async function cutsIn(gateway: GatewayUnderTest) {
  const page = await gateway.kernel.store.run("auditPage", 0);
  return page
    .filter((entry) => entry.event === "relay.cut")
    .flatMap((entry) => JSON.parse(entry.payloadText ?? "{}").cuts);
}

describe("a change of a device's state ends its connections, and no others", () => {
  test.each([
    ["not compliant any more", device("d1", { compliance: "noncompliant" }), "device-noncompliant"],
    ["removed", device("d1", { removed: true }), "device-removed"],
    ["another user's", device("d1", { userPrincipalName: "x@y" }), undefined],
  ] as const)("%s", async (_, state, code) => {
    await using all = await startLive();
    const [socket, other] = [await all.open(), await all.open(otherIdentity)];
    const update = { version: 2, isSnapshot: false, devices: [state] };
    if (code === undefined) {
      expect(await all.run("devices.update", update)).toMatchObject({ cut: 0 });
      expect(await isAlive(socket)).toBe(true);
      return;
    }
    const took = await cutAfter(socket, () => all.run("devices.update", update));
    expect(took).toBeLessThan(CUT_WITHIN_MS);
    expect(await isAlive(other)).toBe(true);
    expect(await all.refusal()).toMatchObject({ status: 403, code });
    const cut = await until(async () => (await cutsIn(all.gateway))[0]);
    expect(cut).toMatchObject({ deviceId: "d1", code });
  });

  test("absent from a snapshot", async () => {
    await using all = await startLive();
    const socket = await all.open();
    const snapshot = { version: 2, isSnapshot: true, devices: [device("d2")] };
    expect(await cutAfter(socket, () => all.run("devices.update", snapshot))).toBeLessThan(
      CUT_WITHIN_MS,
    );
    expect(await all.refusal()).toMatchObject({ code: "device-unknown" });
  });

  test("out of the group that its policy is for", async () => {
    await using all = await startLive();
    const [policy] = openPort(all.target.port);
    if (policy) await all.gateway.configure({ policies: [{ ...policy, groups: ["staff"] }] });
    const socket = await all.open();
    const update = { version: 2, isSnapshot: false, devices: [device("d1", { groups: [] })] };
    expect(await cutAfter(socket, () => all.run("devices.update", update))).toBeLessThan(
      CUT_WITHIN_MS,
    );
  });
});

test("states are kept across a restart of the gateway's store", async () => {
  await using all = await startLive();
  const update = { version: 2, isSnapshot: false, devices: [device("d1", { removed: true })] };
  await all.run("devices.update", update);
  expect(await all.gateway.kernel.store.run("deviceSource")).toMatchObject({ version: 2 });
  expect(await all.run("devices.update", { ...update, version: 1 })).toMatchObject({ changed: 0 });
  expect(await all.refusal()).toMatchObject({ code: "device-removed" });
});

describe("a change of policy", () => {
  test("ends what it no longer allows and leaves what it does", async () => {
    await using all = await startLive();
    await using second = await startTarget(echo);
    const both = [...openPort(all.target.port), ...openPort(second.port)].map((policy, index) => ({
      ...policy,
      name: `p${index}`,
    }));
    await all.gateway.configure({ policies: both });
    const socket = await all.open();
    const to = `127.0.0.1:${second.port}`;
    const kept = (await connectThrough(all.gateway, to, { identity })).socket;
    const took = await cutAfter(socket, () =>
      all.gateway.configure({ policies: openPort(second.port) }),
    );
    expect(took).toBeLessThan(CUT_WITHIN_MS);
    expect(await isAlive(kept)).toBe(true);
    expect(await all.refusal()).toMatchObject({ code: "policy-denied", rule: "default-deny" });
  });

  test("to a list of devices ends those that are not on it", async () => {
    await using all = await startLive();
    const [socket, other] = [await all.open(), await all.open(otherIdentity)];
    const policies = openPort(all.target.port);
    await cutAfter(socket, () => all.gateway.configure({ policies, devices: listOf("d2") }));
    expect(await isAlive(other)).toBe(true);
  });
});

describe("time alone", () => {
  test("ends the connections of a certificate that expires", async () => {
    const notAfter = Date.now() + 60 * MINUTE_MS;
    const brief = await issueTo(authority, [deviceUri("d1")], { notAfter });
    await using all = await startLive();
    const [socket, other] = [await all.open(brief), await all.open()];
    const took = await cutAfter(socket, async () => {
      all.gateway.kernel.clock.advance(61 * MINUTE_MS);
    });
    expect(took).toBeLessThan(CUT_WITHIN_MS);
    expect(await isAlive(other)).toBe(true);
  });

  test("ends connections when the cloud has been away for longer than maximum age and grace", async () => {
    await using all = await startLive();
    const policies = openPort(all.target.port);
    const devices = { maximumAgeMinutes: 10, graceMinutes: 10 };
    await all.gateway.configure({ policies, devices });
    const { kernel } = all.gateway;
    kernel.setLink({ connected: false, lastContactAt: kernel.clock.now() });
    const health = kernel.checks.find((check) => check.name === "device-states");
    const socket = await all.open();
    kernel.clock.advance(15 * MINUTE_MS);
    expect(await health?.run()).toMatchObject({ status: "warning" });
    await all.open();
    await cutAfter(socket, async () => kernel.clock.advance(6 * MINUTE_MS));
    expect(await all.refusal()).toMatchObject({
      code: "device-state-outdated",
      rule: "gate/state-age",
    });
    expect(await health?.run()).toMatchObject({ status: "unhealthy" });
    kernel.setLink({ connected: true });
    await all.open();
  });
});

test("an operator cuts a device on the host; it may come back", async () => {
  await using all = await startLive();
  const socket = await all.open();
  const { controls } = all.gateway.gateway;
  expect(await controls["sessions"]?.(null)).toMatchObject({
    total: 1,
    sessions: [{ deviceId: "d1" }],
  });
  expect(await controls["devices"]?.(null)).toMatchObject({ total: 2 });
  await cutAfter(socket, async () => controls["cut"]?.({ deviceId: "d1" }));
  await all.open();
});
