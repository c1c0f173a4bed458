import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import type { ConnectorError } from "../errors.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { makeStore } from "../testing/kernel-store-fixture.ts";
import { until } from "../testing/until.ts";
import type { DownLane } from "./down-lane.ts";
import type { LinkHooks } from "./link-hooks.ts";
import { LinkSession } from "./link-session.ts";
import type { Statements } from "./statements.ts";
import type { UpLane } from "./up-lane.ts";

const silent = { info() {}, warn() {}, error() {} };

test("a command that comes in one breath with the welcome is taken, after the lanes are reconciled", async () => {
  await using made = await makeStore();
  const happened: string[] = [];
  let ended: ConnectorError | undefined;
  const session = new LinkSession({
    identity: {
      connectorId: "connector-1",
      privateKey: generateKeyPairSync("ed25519").privateKey,
      bootId: "boot-1",
    },
    channel: "localhost",
    capabilities: [],
    store: made.store,
    hooks: {
      configurationVersion: () => 0,
      auditHead: async () => undefined,
      health: async () => ({
        service: "cert-connector",
        version: "1",
        startedAt: 1,
        checks: [],
        figures: {},
      }),
      onEvent() {},
    } as Partial<LinkHooks> as LinkHooks,
    log: silent as never,
    clock: new FakeClock(),
    upLane: { attach() {}, detach() {} } as Partial<UpLane> as UpLane,
    downLane: {
      attach() {
        happened.push("attached");
      },
      detach() {},
      async receive(jws: string) {
        happened.push(jws);
      },
    } as unknown as DownLane,
    statements: {} as Statements,
    onOffset() {},
    onOpen: () => void happened.push("open"),
    onHeard() {},
    onEnded: (reason) => {
      ended = reason;
    },
  });
  const sent: string[] = [];
  session.begin({
    kind: "websocket",
    bufferedBytes: 0,
    send: (frame) => void sent.push(String(frame)),
    close() {},
  });
  session.onFrame(JSON.stringify({ type: "nonce", nonce: "abc", serverTimeMs: 1 }));
  await until(() => sent.length === 1, "the hello");
  const welcome = {
    type: "welcome",
    sessionNo: 1,
    protocol: 1,
    epoch: 0,
    lastAppliedSeq: {},
    commandSeq: 0,
    credit: { commands: 10, bytes: 1_000 },
    configurationVersion: 0,
    serverTimeMs: 1,
  };
  session.onFrame(JSON.stringify(welcome));
  session.onFrame(JSON.stringify({ type: "command", jws: "first" }));
  session.onFrame(JSON.stringify({ type: "command", jws: "second" }));
  await until(() => happened.length === 4, "both commands");
  expect(happened).toEqual(["open", "attached", "first", "second"]);
  expect(ended).toBeUndefined();
  session.close();
});
