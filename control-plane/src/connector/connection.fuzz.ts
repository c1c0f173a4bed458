import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConnectorError } from "@isthmus/shared/errors";
import { makeBatchFrame } from "@isthmus/shared/link/batch-frame";
import type { Frame } from "@isthmus/shared/link/frame-list";
import { makeHello } from "@isthmus/shared/link/handshake";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import type { FromControlPlane } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import { until } from "@isthmus/shared/testing/until";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Connection } from "./connection.ts";
import type { ConnectorStore } from "./connector-store.ts";
import { IngestGate } from "./ingest-gate.ts";
import type { LinkContext } from "./link-context.ts";
import type { LinkPeer } from "./link-peer.ts";
import { SessionRegistry } from "./session-registry.ts";

const { privateKey } = generateKeyPairSync("ed25519");
const connectorId = "connector-1";
const clock = new FakeClock();

/** A store that admits the one connector, and takes or refuses whatever comes by turns. */
function store(): ConnectorStore {
  let turn = 0;
  const answers: Record<string, unknown> = {
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
    answerGap: { deliveries: [], voids: [], restFrom: undefined },
    ingestBatch: { seq: 1, rejected: [], endedCommands: [], hasNewCommands: true },
    judgeAuditHead: "countersign",
    storeHealth: { isSnapshotWanted: true },
  };
  const run = async (name: string) => {
    turn += 1;
    if (turn > 2 && turn % 5 === 0) {
      throw new ConnectorError("store-busy", "busy", { isRetryable: true });
    }
    return answers[name];
  };
  return { run: run as ConnectorStore["run"] };
}

class Peer implements LinkPeer {
  readonly sent: FromControlPlane[] = [];
  readonly bufferedBytes = 0;
  isClosed = false;

  send(frame: Frame): void {
    this.sent.push(JSON.parse(String(frame)));
  }

  close(): void {
    this.isClosed = true;
  }

  pause(): void {}
  resume(): void {}
}

function contextWith(gate: IngestGate): LinkContext {
  return {
    store: store(),
    signer: {
      tenantKey: async () => publicKeyOf(privateKey),
      signAuditHead: async () => "jws",
      signEnrolment: async () => "jws",
    },
    unsignedCommands: { nudge() {} },
    clock,
    random: systemRandom,
    log: { info() {}, warn() {}, error() {} },
    names: new Set(),
    sessions: new SessionRegistry(),
    gate,
  };
}

const recorded = readFileSync(
  new URL("../../../test/corpus/link/protocol-1.jsonl", import.meta.url),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => Buffer.from(JSON.stringify(JSON.parse(line).message)));
const batch = await makeBatchFrame({
  stream: "issuance",
  firstSeq: 1,
  isAfterPruned: false,
  lines: ["{}"],
});

const frames = fc.array(
  fc.oneof(
    hostileBytes(recorded).map((bytes): Frame => bytes.toString("utf8")),
    fc.constantFrom(...recorded.map(String)),
    hostileBytes([batch]).map((bytes): Frame => bytes),
    fc.constant<Frame>(batch),
  ),
  { maxLength: 12 },
);

test("a connection takes any frames in any order: it answers or ends, and leaves nothing behind", async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.boolean(), async (said, isWelcomed) => {
      const gate = new IngestGate(1_000_000);
      const context = contextWith(gate);
      const peer = new Peer();
      const connection = new Connection(context, peer);
      connection.begin();
      if (isWelcomed) await welcome(connection, peer);
      for (const frame of said) connection.onFrame(frame);
      connection.tick(performance.now());
      connection.onClosed();
      await until(() => gate.bytes === 0, "the batches to be let go");
      expect(context.sessions.connectionCount).toBe(0);
      expect(context.sessions.greetingCount).toBe(0);
      expect(context.sessions.sessionCount).toBe(0);
      expect(peer.sent.length).toBeLessThan(100);
    }),
    { numRuns: fuzzRuns(400) },
  );
});

async function welcome(connection: Connection, peer: Peer): Promise<void> {
  const [nonce] = peer.sent;
  if (nonce?.type !== "nonce") throw new Error("no nonce");
  const hello = await makeHello({
    identity: { connectorId, bootId: "boot", privateKey },
    nonce,
    channel: "localhost",
    lanes: { epoch: 0, lastSeq: {}, commandSeq: 0 },
    configurationVersion: 0,
    capabilities: [],
    clockMs: clock.now(),
  });
  connection.onFrame(JSON.stringify(hello));
  await until(() => peer.sent.some(({ type }) => type === "welcome"), "the welcome");
}
