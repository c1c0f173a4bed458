import { generateKeyPairSync } from "node:crypto";
import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Frame } from "@isthmus/shared/link/frame-list";
import { makeHello } from "@isthmus/shared/link/handshake";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import type { FromControlPlane } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { Connection } from "./connection.ts";
import type { ConnectorStore } from "./connector-store.ts";
import { IngestGate } from "./ingest-gate.ts";
import type { LinkContext } from "./link-context.ts";
import type { LinkPeer } from "./link-peer.ts";
import { SessionRegistry } from "./session-registry.ts";

/** For tests: a connection whose store answers by rote and whose peer writes down what it is sent. */

const { privateKey } = generateKeyPairSync("ed25519");
const connectorId = "connector-1";

const ANSWERS: Readonly<Record<string, unknown>> = {
  connectorIdentity: { publicKeyX: publicKeyOf(privateKey).x, service: "cert-connector" },
  acceptConnector: {
    admission: {
      sessionNo: 1,
      epoch: 0,
      lastAppliedSeq: {},
      commandSeq: 0,
      configurationVersion: 0,
      isFirst: true,
      isRestored: false,
    },
  },
  takeDeliveries: [],
  trustStatements: [],
  answerGap: { deliveries: [], voids: [], restFrom: undefined },
  ingestBatch: {
    seq: 1,
    rejected: [],
    endedCommands: [],
    hasNewCommands: true,
    changedActions: [],
    differences: [],
  },
  renewLease: {
    type: "lease",
    source: "CM1",
    isHeld: true,
    lease: 1,
    revision: 0,
    validMs: 60_000,
  },
  judgeAuditHead: "countersign",
  storeHealth: { isSnapshotWanted: true },
};

/** Admits the one connector; after that each `failsEvery`th call fails as under load. */
function store(failsEvery: number): ConnectorStore {
  let turn = 0;
  const run = async (name: string) => {
    turn += 1;
    if (turn > 2 && turn % failsEvery === 0) {
      throw new ConnectorError("store-busy", "busy", { isRetryable: true });
    }
    return ANSWERS[name];
  };
  return { run: run as ConnectorStore["run"] };
}

/** A peer that keeps what it is sent, and what was done to it. */
export class RecordingPeer implements LinkPeer {
  readonly sent: FromControlPlane[] = [];
  readonly happened: string[] = [];
  readonly bufferedBytes = 0;
  readonly #waiting = new Map<string, () => void>();

  send(frame: Frame): void {
    const message = JSON.parse(String(frame)) as FromControlPlane;
    this.sent.push(message);
    this.#waiting.get(message.type)?.();
  }

  close(): void {
    this.happened.push("closed");
  }

  pause(): void {
    this.happened.push("paused");
  }

  resume(): void {
    this.happened.push("resumed");
  }

  count(type: FromControlPlane["type"]): number {
    return this.sent.filter((message) => message.type === type).length;
  }

  /** Resolves when a message of this kind is sent. */
  next(type: FromControlPlane["type"]): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(type, resolve));
  }
}

/** A connection that has sent its nonce. */
export function connectionFixture(of: { readonly failsEvery?: number } = {}) {
  const context: LinkContext = {
    store: store(of.failsEvery ?? Number.POSITIVE_INFINITY),
    signer: {
      tenantKey: async () => publicKeyOf(privateKey),
      signAuditHead: async () => "jws",
      signEnrolment: async () => "jws",
    },
    unsignedCommands: { nudge() {} },
    actionNews: { tell() {} },
    clock: systemClock,
    random: systemRandom,
    log: { info() {}, warn() {}, error() {} },
    names: new Set(),
    sessions: new SessionRegistry(),
    gate: new IngestGate(1_000_000),
  };
  const peer = new RecordingPeer();
  const connection = new Connection(context, peer);
  connection.begin();
  return { connection, context, peer };
}

/** Says a true hello, and resolves with the welcome. */
export async function welcome(connection: Connection, peer: RecordingPeer): Promise<void> {
  const nonce = peer.sent.find((message) => message.type === "nonce");
  if (nonce?.type !== "nonce") throw new Error("there was no nonce");
  const hello = await makeHello({
    identity: { connectorId, bootId: "boot", privateKey },
    nonce,
    channel: "localhost",
    lanes: { epoch: 0, lastSeq: {}, commandSeq: 0 },
    configurationVersion: 0,
    capabilities: [],
    clockMs: systemClock.now(),
  });
  const welcomed = peer.next("welcome");
  connection.onFrame(JSON.stringify(hello));
  await welcomed;
}
