import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { TLSSocket } from "node:tls";
import type { RefusalError } from "@isthmus/shared/errors";
import type { CommandHandler } from "@isthmus/shared/kernel/service-definition";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import type { Device } from "../core/device.ts";
import {
  connectThrough,
  echo,
  type GatewayTestOptions,
  type GatewayUnderTest,
  listOf,
  openPort,
  readUntil,
  startGateway,
  startTarget,
} from "../testing/gateway-under-test.ts";
import { startPublisher } from "../testing/revocation-publisher.ts";
import { deviceUri, issueTo, makeDeviceAuthority, makeList } from "../testing/test-certificates.ts";

/** The issue's bound on how long a connection may outlive what allowed it. */
const CUT_WITHIN_MS = 2_000;
const MINUTE_MS = 60_000;

const authority = await makeDeviceAuthority();
const identity = await issueTo(authority, [deviceUri("d1")], { serialNumber: "4711" });
const otherIdentity = await issueTo(authority, [deviceUri("d2")]);

function device(deviceId: string, change: Partial<Device> = {}): Device {
  return { deviceId, groups: ["staff"], compliance: "compliant", removed: false, ...change };
}

/** A gateway whose device states come from the cloud, with devices d1 and d2, and a target that both may reach. */
async function started(options: GatewayTestOptions = {}) {
  const gateway = await startGateway({ authority, ...options });
  const target = await startTarget(echo);
  await gateway.configure({ policies: openPort(target.port) });
  gateway.kernel.setLink({ connected: true });
  const run = commandsOf(gateway);
  await run("devices.update", {
    version: 1,
    isSnapshot: true,
    devices: [device("d1"), device("d2")],
  });
  // The first look at revocations begins in the background; a round of its own has certainly ended.
  await run("revocation.refresh", {});
  return {
    gateway,
    target,
    run,
    open: async (as = identity) => {
      const { status, socket } = await connectThrough(gateway, `127.0.0.1:${target.port}`, {
        identity: as,
      });
      expect(status).toBe(200);
      socket.write("alive\n");
      expect(await readUntil(socket, "\n")).toBe("alive\n");
      return socket;
    },
    refusal: async (as = identity) => {
      const answer = await connectThrough(gateway, `127.0.0.1:${target.port}`, { identity: as });
      answer.socket.destroy();
      return { status: answer.status, ...answer.body };
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

/** Runs commands as the kernel does: payload read, judged, run. */
function commandsOf({ gateway }: GatewayUnderTest) {
  return async (kind: string, payload: unknown): Promise<unknown> => {
    const handler = gateway.commands[kind] as CommandHandler<unknown>;
    const read = handler.payload.parse(payload);
    await handler.judge?.(read);
    return handler.run(read, { id: "c1", signal: new AbortController().signal });
  };
}

/** How long it takes until an open connection is reset. */
async function cutAfter(socket: TLSSocket, act: () => Promise<unknown>): Promise<number> {
  const reset = once(socket.resume(), "error");
  const from = performance.now();
  await act();
  expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
  return performance.now() - from;
}

async function isAlive(socket: TLSSocket): Promise<boolean> {
  socket.pause();
  socket.write("alive\n");
  return (await readUntil(socket, "\n")) === "alive\n";
}

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
    await using all = await started();
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
    await using all = await started();
    const socket = await all.open();
    const snapshot = { version: 2, isSnapshot: true, devices: [device("d2")] };
    expect(await cutAfter(socket, () => all.run("devices.update", snapshot))).toBeLessThan(
      CUT_WITHIN_MS,
    );
    expect(await all.refusal()).toMatchObject({ code: "device-unknown" });
  });

  test("out of the group that its policy is for", async () => {
    await using all = await started();
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
  await using all = await started();
  const update = { version: 2, isSnapshot: false, devices: [device("d1", { removed: true })] };
  await all.run("devices.update", update);
  expect(await all.gateway.kernel.store.run("deviceSource")).toMatchObject({ version: 2 });
  expect(await all.run("devices.update", { ...update, version: 1 })).toMatchObject({ changed: 0 });
  expect(await all.refusal()).toMatchObject({ code: "device-removed" });
});

describe("a change of policy", () => {
  test("ends what it no longer allows and leaves what it does", async () => {
    await using all = await started();
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
    await using all = await started();
    const [socket, other] = [await all.open(), await all.open(otherIdentity)];
    const policies = openPort(all.target.port);
    await cutAfter(socket, () => all.gateway.configure({ policies, devices: listOf("d2") }));
    expect(await isAlive(other)).toBe(true);
  });
});

describe("revocation", () => {
  test("by list: a revoked certificate loses its connections at the next look, others do not", async () => {
    await using publisher = await startPublisher(authority.issuing);
    publisher.published.list = await makeList(authority, { number: 1 });
    await using all = await started({ anchor: { crl: publisher.crl } });
    const [socket, other] = [await all.open(), await all.open(otherIdentity)];
    publisher.published.list = await makeList(authority, { number: 2, serials: ["4711"] });
    const took = await cutAfter(socket, () => all.run("revocation.refresh", {}));
    expect(took).toBeLessThan(CUT_WITHIN_MS);
    expect(await isAlive(other)).toBe(true);
    expect(await all.refusal()).toMatchObject({
      code: "certificate-revoked",
      rule: "revocation/devices",
    });
  });

  test("by list in a file that is replaced", async () => {
    const files = { "devices.crl": await makeList(authority, { number: 1 }) };
    await using all = await started({ files, anchor: { crl: { file: "devices.crl" } } });
    const socket = await all.open();
    const next = await makeList(authority, { number: 2, serials: ["4711"] });
    const took = await cutAfter(socket, async () => {
      writeFileSync(`${all.gateway.folder}/devices.crl`, next);
    });
    expect(took).toBeLessThan(CUT_WITHIN_MS);
  });

  test("by OCSP: asked at connect, and again about open connections", async () => {
    await using publisher = await startPublisher(authority.issuing);
    await using all = await started({ anchor: { ocsp: publisher.ocsp } });
    const socket = await all.open();
    expect(publisher.asked.answers).toBe(1);
    await all.open();
    expect(publisher.asked.answers).toBe(1);
    const revokedAt = Date.now() - 1_000;
    publisher.published.statuses["4711"] = {
      status: "revoked",
      revokedAt,
      reason: "keyCompromise",
    };
    const took = await cutAfter(socket, () => all.run("revocation.refresh", {}));
    expect(took).toBeLessThan(CUT_WITHIN_MS);
    expect(await all.refusal()).toMatchObject({ code: "certificate-revoked" });
  });

  test("by both: a responder that just failed holds up nobody whom a list can judge", async () => {
    await using publisher = await startPublisher(authority.issuing);
    publisher.published.list = await makeList(authority, { number: 1 });
    publisher.published.isResponding = false;
    await using all = await started({ anchor: { crl: publisher.crl, ocsp: publisher.ocsp } });
    await all.open();
    await all.open();
    expect(publisher.asked.answers).toBe(1);
    all.gateway.kernel.clock.advance(MINUTE_MS);
    publisher.published.isResponding = true;
    await all.open();
    await all.open();
    expect(publisher.asked.answers).toBe(2);
  });

  test("that cannot be learnt keeps new connections out, and says why", async () => {
    await using publisher = await startPublisher(authority.issuing);
    await using all = await started({ anchor: { crl: publisher.crl } });
    expect(await all.refusal()).toMatchObject({ code: "revocation-unknown" });
    const result = await all.run("revocation.refresh", {});
    expect(result).toEqual({ failures: [{ anchor: "devices", code: "revocation-unavailable" }] });
    const health = all.gateway.kernel.checks.find((check) => check.name === "revocation");
    expect(await health?.run()).toMatchObject({ status: "unhealthy" });
  });

  test("whose source is away: served with a warning up to the hard age, then refused; open ones stay", async () => {
    await using publisher = await startPublisher(authority.issuing);
    const nextUpdate = Date.now() + 100 * 24 * 60 * MINUTE_MS;
    publisher.published.list = await makeList(authority, { number: 1, nextUpdate });
    await using all = await started({ anchor: { crl: publisher.crl } });
    const socket = await all.open();
    publisher.published.list = "absent";
    await all.run("revocation.refresh", {});
    all.gateway.kernel.clock.advance(61 * MINUTE_MS);
    const health = all.gateway.kernel.checks.find((check) => check.name === "revocation");
    expect(await health?.run()).toMatchObject({ status: "warning" });
    await all.open();
    all.gateway.kernel.clock.advance(24 * 60 * MINUTE_MS);
    expect(await all.refusal()).toMatchObject({ code: "revocation-outdated" });
    expect(await health?.run()).toMatchObject({ status: "unhealthy" });
    expect(await isAlive(socket)).toBe(true);
  });

  test("that a source takes back with an older list stays", async () => {
    await using publisher = await startPublisher(authority.issuing);
    publisher.published.list = await makeList(authority, { number: 2, serials: ["4711"] });
    await using all = await started({ anchor: { crl: publisher.crl } });
    await all.run("revocation.refresh", {});
    publisher.published.list = await makeList(authority, { number: 1 });
    const result = await all.run("revocation.refresh", {});
    expect(result).toEqual({ failures: [{ anchor: "devices", code: "crl-went-back" }] });
    expect(await all.refusal()).toMatchObject({ code: "certificate-revoked" });
  });
});

describe("time alone", () => {
  test("ends the connections of a certificate that expires", async () => {
    const notAfter = Date.now() + 60 * MINUTE_MS;
    const brief = await issueTo(authority, [deviceUri("d1")], { notAfter });
    await using all = await started();
    const [socket, other] = [await all.open(brief), await all.open()];
    const took = await cutAfter(socket, async () => {
      all.gateway.kernel.clock.advance(61 * MINUTE_MS);
    });
    expect(took).toBeLessThan(CUT_WITHIN_MS);
    expect(await isAlive(other)).toBe(true);
  });

  test("ends connections when the cloud has been away for longer than maximum age and grace", async () => {
    await using all = await started();
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

describe("the guardrails' window of session cuts", () => {
  const limits = { "session-cuts": { max: 1, perMinutes: 60 } };
  const removed = (...ids: string[]) => ids.map((id) => device(id, { removed: true }));
  const refusalOf = async (act: Promise<unknown>): Promise<Partial<RefusalError>> =>
    act.then(
      () => ({ code: "not refused" }),
      (error) => error,
    );

  test("refuses an update that would cut more, whole, and lets one within it pass", async () => {
    await using all = await started({ limits });
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
    await using all = await started({ limits });
    const [socket, other] = [await all.open(), await all.open(otherIdentity)];
    const update = { version: 2, isSnapshot: false, devices: removed("d1") };
    await cutAfter(socket, () => all.run("devices.update", update));
    const next = { version: 3, isSnapshot: false, devices: removed("d2") };
    expect((await refusalOf(all.run("devices.update", next))).code).toBe("limit-exceeded");
    expect(await isAlive(other)).toBe(true);
  });

  test("holds for snapshots and for policies of the cloud", async () => {
    await using all = await started({ limits });
    const sockets = [await all.open(), await all.open(otherIdentity)];
    const snapshot = { version: 2, isSnapshot: true, devices: [] };
    expect((await refusalOf(all.run("devices.update", snapshot))).code).toBe("limit-exceeded");
    const nothing = all.gateway.configure({ policies: [] });
    expect((await refusalOf(nothing)).code).toBe("limit-exceeded");
    expect(await Promise.all(sockets.map(isAlive))).toEqual([true, true]);
    await all.open();
  });

  test("a refused update stops the link from confirming the states", async () => {
    await using all = await started({ limits });
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

test("an operator cuts a device on the host; it may come back", async () => {
  await using all = await started();
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
