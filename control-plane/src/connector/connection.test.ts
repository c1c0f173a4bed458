import { systemClock } from "@isthmus/shared/clock";
import { systemRandom } from "@isthmus/shared/random";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { Connection } from "./connection.ts";
import { IngestGate } from "./ingest-gate.ts";
import type { LinkContext } from "./link-context.ts";
import { SessionRegistry } from "./session-registry.ts";

const HELLO_TIMEOUT_MS = 15_000;

function greeting() {
  const sessions = new SessionRegistry();
  const context = {
    clock: systemClock,
    random: systemRandom,
    sessions,
    gate: new IngestGate(1),
  } as Partial<LinkContext> as LinkContext;
  const sent: unknown[] = [];
  const connection = new Connection(context, {
    bufferedBytes: 0,
    send: (frame) => sent.push(JSON.parse(String(frame))),
    close: () => connection.onClosed(),
    pause: () => undefined,
    resume: () => undefined,
  });
  return { connection, sessions, sent };
}

test("a stranger who pings and never says hello loses the place when its time is over", async () => {
  const openedAt = performance.now();
  const { connection, sessions, sent } = greeting();
  connection.begin();
  await until(() => performance.now() > openedAt + 50, "a while");
  connection.onFrame('{"type":"ping","id":1}');
  expect(sent).toMatchObject([{ type: "nonce" }, { type: "pong", id: 1 }]);
  connection.tick(openedAt + HELLO_TIMEOUT_MS - 1);
  expect(sessions.greetingCount).toBe(1);
  connection.tick(openedAt + HELLO_TIMEOUT_MS + 25);
  expect(sessions.greetingCount).toBe(0);
  expect(sessions.connectionCount).toBe(0);
});
