import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { systemRandom } from "../random.ts";
import { until } from "../testing/until.ts";
import { LinkRefusal } from "./handshake.ts";
import type { LinkHooks } from "./link-hooks.ts";
import type { LinkLog } from "./link-log.ts";
import { LinkLoop } from "./link-loop.ts";
import type { LinkSession } from "./link-session.ts";

test("a refusal that needs a person is told once, and the loop comes back for the answer after it", async () => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const url = new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/link`);
  const told: string[] = [];
  const waits = { refused: 0, other: 0 };
  let sessions = 0;
  const stop = new AbortController();
  const loop = new LinkLoop({
    address: { url },
    transport: "websocket",
    newSession: () => {
      sessions += 1;
      return refusedSession();
    },
    hooks: { onEvent: ({ event }) => told.push(event) } as Partial<LinkHooks> as LinkHooks,
    log: { info: () => {} } as Partial<LinkLog> as LinkLog,
    random: systemRandom,
    signal: stop.signal,
    backOff: {
      next: () => waits.other++,
      afterRefusal: () => {
        waits.refused += 1;
        return 0;
      },
    },
  });
  const running = loop.run();
  try {
    await until(() => sessions >= 3, "a third attempt");
    expect(loop.refusal?.code).toBe("identity-disabled");
    expect(told.filter((event) => event === "link.refused")).toHaveLength(1);
    expect(waits.refused).toBeGreaterThanOrEqual(2);
    expect(waits.other).toBe(0);
    loop.noteOpen();
    expect(loop.refusal).toBeUndefined();
  } finally {
    stop.abort();
    await running;
    for (const client of server.clients) client.terminate();
    server.close();
  }
});

/** A session that the control plane has turned away for a person to look into. */
function refusedSession(): LinkSession {
  const refusal = new LinkRefusal("identity-disabled", "disabled", { isRetryable: false });
  const session = {
    ended: Promise.resolve(refusal),
    begin: (transport: { close(): void }) => transport.close(),
    close: () => {},
    onFrame: () => {},
    onClose: () => {},
  };
  return session as unknown as LinkSession;
}
