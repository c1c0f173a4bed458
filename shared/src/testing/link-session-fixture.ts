import { generateKeyPairSync } from "node:crypto";
import type { ConnectorError } from "../errors.ts";
import type { DownLane } from "../link/down-lane.ts";
import type { Frame } from "../link/frame-list.ts";
import type { LaneStore } from "../link/lane-store.ts";
import type { LinkHooks } from "../link/link-hooks.ts";
import { LinkSession } from "../link/link-session.ts";
import type { FromConnector } from "../link/messages.ts";
import type { Statements } from "../link/statements.ts";
import type { UpLane } from "../link/up-lane.ts";
import { FakeClock } from "./fake-clock.ts";
import { until } from "./until.ts";

/** A session of a connector whose transport and lanes are scripted. */
export interface SessionFixture {
  readonly session: LinkSession;
  /** What it said. */
  readonly sent: FromConnector[];
  /** What its lanes and its owner were told, in order. */
  readonly happened: string[];
  /** Why it ended; undefined while it has not. */
  ended(): { readonly reason: ConnectorError | undefined } | undefined;
  /** Says the nonce and the welcome. */
  open(): Promise<void>;
  say(message: unknown): void;
}

const silent = { info() {}, warn() {}, error() {} };

const WELCOME = {
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

/** A session that has its transport and waits for the nonce. */
export function sessionFixture(store: LaneStore): SessionFixture {
  const sent: FromConnector[] = [];
  const happened: string[] = [];
  let ended: { readonly reason: ConnectorError | undefined } | undefined;
  const session = new LinkSession({
    identity: {
      connectorId: "connector-1",
      privateKey: generateKeyPairSync("ed25519").privateKey,
      bootId: "boot-1",
    },
    channel: "localhost",
    capabilities: [],
    store,
    hooks: HOOKS as Partial<LinkHooks> as LinkHooks,
    log: silent as never,
    clock: new FakeClock(),
    upLane: {
      attach() {},
      detach() {},
      async acknowledge() {},
      stop() {},
    } as Partial<UpLane> as UpLane,
    downLane: {
      async attach() {
        happened.push("attached");
      },
      detach() {},
      forgetWaiting() {},
      async receive(jws: string) {
        happened.push(jws);
      },
      async receiveVoid() {},
    } as Partial<DownLane> as DownLane,
    statements: {
      async configuration() {},
      async countersigned() {},
      async trust() {},
    } as Partial<Statements> as Statements,
    onOffset() {},
    onOpen: () => void happened.push("open"),
    onHeard() {},
    onEnded: (reason) => {
      ended = { reason };
    },
  });
  session.begin({
    kind: "websocket",
    bufferedBytes: 0,
    send: (frame: Frame) => void sent.push(JSON.parse(String(frame))),
    close: () => session.onClose(undefined),
  });
  const say = (message: unknown) => session.onFrame(JSON.stringify(message));
  return {
    session,
    sent,
    happened,
    ended: () => ended,
    say,
    async open() {
      say({ type: "nonce", nonce: "abc", serverTimeMs: 1 });
      await until(() => sent.some(({ type }) => type === "hello"), "the hello");
      say(WELCOME);
    },
  };
}

const HOOKS: Partial<LinkHooks> = {
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
};
