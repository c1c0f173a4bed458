import { PING_INTERVAL_MS, SILENCE_LIMIT_MS } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { expect, test, vi } from "vitest";
import { connectionFixture, RecordingPeer, welcome } from "./connection-fixture.ts";
import { IngestGate } from "./ingest-gate.ts";

test("a connection pings when it has heard nothing for 25 s, once in 25 s at most", async () => {
  const { connection, peer } = connectionFixture();
  await welcome(connection, peer);
  const heardAt = performance.now();
  connection.tick(heardAt + PING_INTERVAL_MS - 1_000);
  expect(peer.count("ping")).toBe(0);
  for (const laterMs of [1_000, 2_000, 24_000])
    connection.tick(heardAt + PING_INTERVAL_MS + laterMs);
  expect(peer.count("ping")).toBe(1);
  connection.tick(heardAt + 2 * PING_INTERVAL_MS + 2_000);
  expect(peer.count("ping")).toBe(2);
});

test("a connection that hears nothing for longer is ended, and its session with it", async () => {
  const { connection, context, peer } = connectionFixture();
  await welcome(connection, peer);
  const heardAt = performance.now();
  connection.tick(heardAt + SILENCE_LIMIT_MS - 1_000);
  expect(context.sessions.sessionCount).toBe(1);
  connection.tick(heardAt + SILENCE_LIMIT_MS + 1_000);
  expect(context.sessions.sessionCount).toBe(0);
  expect(peer.happened).toEqual(["closed"]);
});

test("only the answer to the probe itself shows that a connection is alive", async () => {
  const { connection, peer } = connectionFixture();
  await welcome(connection, peer);
  const alive = connection.isAlive();
  const probe = peer.sent.find((message) => message.type === "ping");
  const id = probe?.type === "ping" ? probe.id : Number.NaN;
  connection.onFrame(JSON.stringify({ type: "pong", id: id === 1 ? 2 : 1 }));
  connection.onFrame(JSON.stringify({ type: "ping", id: 3 }));
  const undecided = Promise.race([alive, Promise.resolve("undecided")]);
  expect(await undecided).toBe("undecided");
  connection.onFrame(JSON.stringify({ type: "pong", id }));
  expect(await alive).toBe(true);
});

test("a connection that ends while it is probed is not alive", async () => {
  const { connection, peer } = connectionFixture();
  await welcome(connection, peer);
  const alive = connection.isAlive();
  connection.onClosed();
  expect(await alive).toBe(false);
});

test("a connection that was ended is sent nothing more", () => {
  const { connection, peer } = connectionFixture();
  connection.onFrame('{"type":"hello"');
  expect(peer.sent.map(({ type }) => type)).toEqual(["nonce", "refused"]);
  connection.tick(performance.now() + PING_INTERVAL_MS + 1_000);
  connection.onFrame('{"type":"ping","id":1}');
  expect(peer.sent).toHaveLength(2);
});

test("over the total of waiting batch bytes a connection is not read from, until half of it is stored", () => {
  const gate = new IngestGate(1_000);
  const [first, second] = [new RecordingPeer(), new RecordingPeer()];
  gate.enter(1_000, first);
  expect(first.happened).toEqual([]);
  gate.enter(1, second);
  expect(second.happened).toEqual(["paused"]);
  gate.leave(500);
  expect(second.happened).toEqual(["paused"]);
  gate.leave(1);
  expect(second.happened).toEqual(["paused", "resumed"]);
  expect(gate.bytes).toBe(500);
});

test("a connection that is gone is not resumed", () => {
  const gate = new IngestGate(10);
  const gone = new RecordingPeer();
  gate.enter(11, gone);
  gate.forget(gone);
  gate.leave(11);
  expect(gone.happened).toEqual(["paused"]);
});

test("leases that are given up right before the end are given up all the same, and nothing else is done", async () => {
  const { connection, context, peer } = connectionFixture();
  await welcome(connection, peer);
  const run = vi.spyOn(context.store, "run");
  for (const source of ["CM1", "CM2", "CM3"]) {
    const wanted = { type: "lease-wanted", source, sourceType: "configmgr", lease: 1 };
    connection.onFrame(JSON.stringify({ ...wanted, isGivenUp: true }));
    connection.onFrame(JSON.stringify({ ...wanted, isGivenUp: false }));
  }
  connection.onClosed();
  const renewals = () => run.mock.calls.flatMap(([name, of]) => (name === "renewLease" ? of : []));
  await until(() => renewals().length === 3);
  expect(renewals()).toMatchObject(Array.from({ length: 3 }, () => ({ isGivenUp: true })));
});
