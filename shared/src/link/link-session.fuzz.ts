import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ConnectorError } from "../errors.ts";
import { fuzzRuns } from "../testing/fuzz-runs.ts";
import { makeStore } from "../testing/kernel-store-fixture.ts";
import { sessionFixture } from "../testing/link-session-fixture.ts";
import { hostileBytes } from "../testing/mutations.ts";
import type { Frame } from "./frame-list.ts";

const recorded = readFileSync(
  new URL("../../../test/corpus/link/protocol-1.jsonl", import.meta.url),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => Buffer.from(JSON.stringify(JSON.parse(line).message)));

const frames = fc.array(
  fc.oneof(
    hostileBytes(recorded).map((bytes): Frame => bytes.toString("utf8")),
    fc.constantFrom(...recorded.map(String)),
    fc.constant<Frame>(Buffer.from([1, 2, 3])),
  ),
  { maxLength: 12 },
);

test("a connector takes any frames in any order from its control plane: it answers, or ends with a code", async () => {
  await using made = await makeStore();
  await fc.assert(
    fc.asyncProperty(frames, fc.boolean(), async (said, isOpen) => {
      const { session, sent, ended, open } = sessionFixture(made.store);
      if (isOpen) await open();
      for (const frame of said) session.onFrame(frame);
      session.tick();
      session.close();
      const reason = (await session.ended) ?? ended()?.reason;
      expect(reason === undefined || reason instanceof ConnectorError).toBe(true);
      expect(reason?.code).not.toBe("internal");
      expect(sent.length).toBeLessThan(50);
    }),
    { numRuns: fuzzRuns(300) },
  );
});
