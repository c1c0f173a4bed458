import { readFileSync } from "node:fs";
import { makeBatchFrame } from "@isthmus/shared/link/batch-frame";
import type { Frame } from "@isthmus/shared/link/frame-list";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import { until } from "@isthmus/shared/testing/until";
import fc from "fast-check";
import { expect, test } from "vitest";
import { connectionFixture, welcome } from "./connection-fixture.ts";

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
      const { connection, context, peer } = connectionFixture({ failsEvery: 7 });
      if (isWelcomed) await welcome(connection, peer);
      for (const frame of said) connection.onFrame(frame);
      connection.tick(performance.now());
      connection.onClosed();
      await until(() => context.gate.bytes === 0, "the batches to be let go");
      expect(context.sessions.connectionCount).toBe(0);
      expect(context.sessions.greetingCount).toBe(0);
      expect(context.sessions.sessionCount).toBe(0);
      expect(peer.sent.length).toBeLessThan(100);
    }),
    { numRuns: fuzzRuns(400) },
  );
});
