import { once } from "node:events";
import { codeOf } from "@isthmus/shared/errors";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, type TestContext, test } from "vitest";
import type { EngineSession } from "../core/vpn-engine.ts";
import { type EngineUnderTest, startEngine, whyNoEngine } from "../testing/engine-under-test.ts";

const TUNNEL = { firstIpv4: "100.64.0.0", firstIpv6: undefined, slots: 64, mtu: 1_400 };
const ANSWER = Buffer.from("HTTP/1.1 200 CONNECTED\r\n\r\n");

const session: EngineSession = {
  id: 7,
  tunnel: 0,
  slot: 2,
  hasIpv4: true,
  hasIpv6: false,
  mtu: 1_300,
  policy: 1,
  dpdSeconds: 0,
  keepaliveSeconds: 0,
  idleSeconds: 0,
  upBytesPerSecond: 0,
  downBytesPerSecond: 0,
  logsFlows: false,
};

/** An engine with one TUN device, which goes with it; the test is skipped where none may be made, but not with CI=true. */
async function startTunnel(context: TestContext, options = {}): Promise<EngineUnderTest> {
  try {
    return await startEngine({ tunnels: [{ ...TUNNEL, device: "isthmustest" }], ...options });
  } catch (error) {
    if (codeOf(error) !== "tunnel-failed" || process.env["CI"] === "true") throw error;
    return context.skip(`no TUN device: ${String(error)}`);
  }
}

/** A CSTP frame. */
function frame(type: number, payload = ""): Buffer {
  const head = Buffer.from("5354460100000000", "hex");
  head.writeUInt16BE(payload.length, 4);
  head[6] = type;
  return Buffer.concat([head, Buffer.from(payload)]);
}

/** A connection that was asked to become the session's, with all that its client received. */
async function attached(front: EngineUnderTest, of = session) {
  const { client, connection } = await front.open();
  let received = Buffer.alloc(0);
  client.on("data", (bytes) => {
    received = Buffer.concat([received, bytes]);
  });
  front.engine.openSession(of);
  front.engine.attach(connection.id, of.id, ANSWER);
  await until(() => received.length >= ANSWER.length, "the answer to CONNECT");
  return { client, connection, after: () => received.subarray(ANSWER.length) };
}

describe.skipIf(whyNoEngine !== undefined)("a session of the native engine", () => {
  test("answers frames over the connection that was attached to it", async (context) => {
    await using front = await startTunnel(context);
    const { client, connection, after } = await attached(front);
    client.write(frame(3, "are you there"));
    await until(() => after().length > 0, "an answer");
    expect(after()).toEqual(frame(4, "are you there"));
    expect(front.record.sessionEvents).toEqual([{ kind: "tls-up", sessionId: 7 }]);
    expect(front.record.textFrom(connection.id)).toBe("");
    expect(front.engine.sessions()).toMatchObject([{ sessionId: 7, hasTls: true, hasDtls: false }]);
    await until(() => front.engine.counters()["frontPending"] === 0);
    expect(front.engine.counters()).toMatchObject({ frontAttached: 1, controlFrames: 1 });
  });

  test("is closed with a frame that says why, and tells its traffic last", async (context) => {
    await using front = await startTunnel(context);
    const { client, after } = await attached(front);
    const ended = once(client, "close");
    front.engine.closeSession(session.id, "terminate", `why${"!".repeat(300)}\n`);
    await ended;
    expect(after()[6]).toBe(9);
    expect(after().subarray(8, 12).toString()).toBe("why!");
    const last = await until(() =>
      front.record.sessionEvents.find(({ kind }) => kind === "closed"),
    );
    expect(last).toMatchObject({ sessionId: 7, traffic: { packetsUp: 0, bytesDown: 0 } });
    expect(front.engine.sessions()).toEqual([]);
    front.engine.closeSession(session.id, "terminate", "twice");
  });

  test("has no TLS where its connection had gone", async (context) => {
    await using front = await startTunnel(context);
    const { client, connection } = await front.open();
    client.destroy();
    await until(() => front.record.closings.size === 1);
    front.engine.openSession(session);
    front.engine.attach(connection.id, session.id, ANSWER);
    const event = await until(() => front.record.sessionEvents[0]);
    expect(event).toEqual({ kind: "tls-down", sessionId: 7, reason: "the connection had closed" });
  });

  test("moves to a second connection, and the first one ends", async (context) => {
    await using front = await startTunnel(context);
    const first = await attached(front);
    const ended = once(first.client, "close");
    const second = await attached(front);
    await ended;
    second.client.write(frame(3));
    await until(() => second.after().length === 8, "an answer");
  });

  test("keeps its TLS where DTLS cannot be offered", async (context) => {
    await using front = await startTunnel(context);
    const { client, connection } = await front.open();
    front.engine.openSession(session);
    const offer = { kind: "psk", appId: Buffer.alloc(32, 1) } as const;
    front.engine.attach(connection.id, session.id, ANSWER, offer);
    await once(client, "data");
    const kinds = () => front.record.sessionEvents.map(({ kind }) => kind);
    await until(() => kinds().length === 2);
    expect(kinds().sort()).toEqual(["dtls-down", "tls-up"]);
  });

  test("ends without a word when the engine stops, so that its client comes back", async (context) => {
    const front = await startTunnel(context);
    const { client, after } = await attached(front);
    const ended = once(client, "close");
    await front.engine[Symbol.asyncDispose]();
    await ended;
    expect(after()).toHaveLength(0);
    expect(front.record.sessionEvents.at(-1)?.kind).toBe("closed");
    await front[Symbol.asyncDispose]();
  });

  test("refuses what is out of range before a packet thread sees it", async (context) => {
    await using front = await startTunnel(context);
    expect(() => front.engine.openSession({ ...session, tunnel: 1 })).toThrow(
      "there is no packet thread 1",
    );
    expect(() => front.engine.openSession({ ...session, mtu: 65_536 })).toThrow("65536");
    expect(() => front.engine.openSession({ ...session, slot: -1 })).toThrow("expected an integer");
    expect(() => front.engine.setPolicy(1, Buffer.alloc(31))).toThrow("no packed rules");
  });

  test("says which device is missing", async () => {
    const tunnels = [{ ...TUNNEL, device: "a-name-that-is-too-long" }];
    await expect(startEngine({ tunnels })).rejects.toMatchObject({
      code: "tunnel-failed",
      message: expect.stringMatching(/tunnel a-name-that-is-too-long: .*host-setup/),
    });
  });
});
