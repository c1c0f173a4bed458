import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ProtocolError } from "../errors.ts";
import { fuzzRuns } from "../testing/fuzz-runs.ts";
import { hostileBytes, returnsOrRefuses } from "../testing/mutations.ts";
import { makeBatchFrame, openBatch, readBatchFrame } from "./batch-frame.ts";
import { formatEnrolmentToken, parseEnrolmentToken } from "./enrolment-token.ts";
import { readFrameList, takeFrameList } from "./frame-list.ts";
import { publicKeyOf, signJws, verifyJws } from "./jws.ts";
import { readFromConnector, readFromControlPlane } from "./message-codec.ts";
import { MAX_BATCH_DECOMPRESSED_BYTES } from "./messages.ts";

const recorded = readFileSync(
  new URL("../../../test/corpus/link/protocol-1.jsonl", import.meta.url),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => Buffer.from(JSON.stringify(JSON.parse(line).message)));

test("text frames of any bytes are read or refused", () => {
  fc.assert(
    fc.property(hostileBytes(recorded), (bytes) => {
      const text = bytes.toString("utf8");
      returnsOrRefuses(() => readFromConnector(text));
      returnsOrRefuses(() => readFromControlPlane(text));
    }),
    { numRuns: fuzzRuns(5_000) },
  );
});

test("messages of any JSON are read or refused", () => {
  const kinds = recorded.map((bytes) => JSON.parse(bytes.toString()).type as string);
  const message = fc
    .tuple(fc.constantFrom(...kinds), fc.dictionary(fc.string(), fc.jsonValue()))
    .map(([type, fields]) => JSON.stringify({ ...fields, type }));
  fc.assert(
    fc.property(fc.oneof(message, fc.json()), (text) => {
      returnsOrRefuses(() => readFromConnector(text));
      returnsOrRefuses(() => readFromControlPlane(text));
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("batches of any bytes are opened within what they announce, or refused", async () => {
  const lines = ['{"index":1,"event":"a"}', '{"index":2,"event":"b"}'];
  const frames = await Promise.all([
    makeBatchFrame({ stream: "audit", firstSeq: 1, isAfterPruned: false, lines }),
    makeBatchFrame({
      stream: "issuance",
      firstSeq: 9,
      isAfterPruned: true,
      lines: ["0".repeat(9_999)],
    }),
  ]);
  await fc.assert(
    fc.asyncProperty(hostileBytes(frames), async (bytes) => {
      try {
        const frame = readBatchFrame(bytes);
        const text = openBatch(frame.compressed, frame.header.rawBytes);
        expect(frame.header.rawBytes).toBeLessThanOrEqual(MAX_BATCH_DECOMPRESSED_BYTES);
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(3 * frame.header.rawBytes);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("bodies of any bytes are frames or refused", () => {
  const body = takeFrameList([...recorded.map(String), Buffer.from([1, 2, 3])], 1_000_000);
  fc.assert(
    fc.property(hostileBytes([body]), (bytes) => {
      returnsOrRefuses(() => readFrameList(bytes));
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("a JWS with any change verifies never", async () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const keys = [publicKeyOf(privateKey)];
  const typ = "isthmus-command+jwt";
  const jws = Buffer.from(await signJws({ id: "1", kind: "health.report" }, typ, privateKey));
  await fc.assert(
    fc.asyncProperty(hostileBytes([jws]), async (bytes) => {
      if (bytes.equals(jws)) return;
      const outcome = verifyJws(bytes.toString("latin1"), typ, keys);
      await expect(outcome).rejects.toBeInstanceOf(ProtocolError);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("tokens of any text are read or refused", () => {
  const token = { url: "https://cloud.example", secret: "c2VjcmV0", tenantKey: "dGh1bWI" };
  const good = Buffer.from(formatEnrolmentToken(token));
  fc.assert(
    fc.property(hostileBytes([good]), (bytes) => {
      returnsOrRefuses(() => parseEnrolmentToken(bytes.toString("latin1")));
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
