import { openStore } from "@isthmus/shared/store/store";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import type { GatewayOperations } from "./gateway-store.ts";

const module = new URL("./gateway-store.ts", import.meta.url);
const counts = { connections: 2, bytesUp: 10, bytesDown: 20 };

async function opened() {
  const folder = temporaryFolder();
  const store = await openStore<GatewayOperations>({ file: `${folder.path}/store.db`, module });
  return {
    store,
    events: async () =>
      (await store.run("auditPage", 0)).map(({ event, at, payloadText }) => [
        event,
        at,
        JSON.parse(payloadText ?? ""),
      ]),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

const began = (deviceId: string) => ({ deviceId, userPrincipalName: undefined, beganAt: 1 });

test("a session that begins and ends is in the audit once each, whoever ends it twice", async () => {
  await using all = await opened();
  await all.store.run("beginRelaySession", began("laptop"));
  const end = { deviceId: "laptop", endedAt: 5, at: 9, ...counts };
  await all.store.run("endRelaySession", end);
  await all.store.run("endRelaySession", end);
  expect(await all.events()).toMatchObject([
    ["relay.session-opened", 1, { deviceId: "laptop" }],
    ["relay.session-ended", 9, { deviceId: "laptop", beganAt: 1, endedAt: 5, ...counts }],
  ]);
});

test("those that a former process left end as its restart's, some at a time", async () => {
  await using all = await opened();
  for (const deviceId of ["a", "b", "c"]) {
    await all.store.run("beginRelaySession", began(deviceId));
  }
  const left = { at: 7, limit: 2 };
  expect(await all.store.run("endLeftRelaySessions", left)).toBe(2);
  expect(await all.store.run("endLeftRelaySessions", left)).toBe(1);
  expect(await all.store.run("endLeftRelaySessions", left)).toBe(0);
  const ends = (await all.events()).slice(3);
  expect(ends).toHaveLength(3);
  expect(ends[0]).toMatchObject([
    "relay.session-ended",
    7,
    { deviceId: expect.any(String), beganAt: 1, end: "gateway-restarted" },
  ]);
});
