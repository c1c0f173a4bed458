import { expect, test } from "vitest";
import { z } from "zod";
import type { ConnectorLinkState } from "../link/connector-link.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { makeStore, type StoreFixture } from "../testing/kernel-store-fixture.ts";
import { AuditKeeper } from "./audit-keeper.ts";
import { registerKernelChecks, unknownKinds } from "./connector-checks.ts";
import { DesiredConfiguration } from "./desired-configuration.ts";
import type { FileAsRead } from "./file-as-read.ts";
import { HealthBoard } from "./health.ts";

const connected: ConnectorLinkState = {
  connected: true,
  lastContactAt: 1,
  clockOffsetMs: 0,
  sessionNo: 1,
  lastError: undefined,
  isRefused: false,
};

async function statusOf(
  made: StoreFixture,
  name: string,
  change: {
    readonly link?: Partial<ConnectorLinkState>;
    readonly fault?: { readonly reason: string; readonly remedy: string };
    readonly unknownKinds?: readonly string[];
    readonly files?: readonly FileAsRead[];
  } = {},
) {
  const clock = new FakeClock();
  const board = new HealthBoard(clock);
  registerKernelChecks(board, {
    store: made.store,
    desired: new DesiredConfiguration({
      source: "connector-1",
      schema: z.unknown(),
      service: { applyConfiguration: async () => {} },
      store: made.store,
      clock,
    }),
    audit: new AuditKeeper(made.store, clock),
    guardrailsFault: change.fault,
    files: change.files ?? [],
    unknownKinds: change.unknownKinds ?? [],
    linkState: () => ({ ...connected, ...change.link }),
  });
  return (await board.results()).find((result) => result.name === name);
}

test("a connected connector with everything in order is healthy throughout", async () => {
  await using made = await makeStore();
  for (const name of ["store", "guardrails", "audit", "link", "clock", "link-backlog"]) {
    expect(await statusOf(made, name)).toMatchObject({ status: "healthy" });
  }
});

test("a file that changed since the start is named, with what is in force and what to do", async () => {
  await using made = await makeStore();
  expect(await statusOf(made, "local-files")).toMatchObject({ status: "healthy" });
  const files = [{ path: "/nowhere/guardrails.json", sha256: "00" }];
  expect(await statusOf(made, "local-files", { files })).toMatchObject({
    status: "warning",
    reason:
      "/nowhere/guardrails.json changed since this process read it: what it had then is in force",
    remedy: expect.stringMatching(/restart the service/),
  });
});

test("a cloud that is away, or wants no more, is a warning with the reason and what to do", async () => {
  await using made = await makeStore();
  const lastError = { code: "cloud-unreachable", message: "cloud.example cannot be reached" };
  expect(await statusOf(made, "link", { link: { connected: false, lastError } })).toEqual({
    name: "link",
    status: "warning",
    reason: "cloud.example cannot be reached",
    remedy: expect.stringContaining("check"),
  });
  const refused = { connected: false, isRefused: true };
  expect(await statusOf(made, "link", { link: refused })).toMatchObject({
    reason: expect.stringContaining("15 to 60 minutes apart"),
  });
});

test.each([
  [300_000, "healthy"],
  [-300_000, "healthy"],
  [300_001, "unhealthy"],
  [-300_001, "unhealthy"],
  [undefined, "unknown"],
])("a clock offset of %s ms is %s", async (clockOffsetMs, status) => {
  await using made = await makeStore();
  expect(await statusOf(made, "clock", { link: { clockOffsetMs } })).toMatchObject({ status });
});

test("weak or mistaken guardrails are a warning", async () => {
  await using made = await makeStore();
  const fault = { reason: "may be written", remedy: "chown it" };
  expect(await statusOf(made, "guardrails", { fault })).toMatchObject({
    status: "warning",
    ...fault,
  });
  expect(await statusOf(made, "guardrails", { unknownKinds: ["a.b"] })).toMatchObject({
    status: "warning",
    reason: expect.stringContaining("a.b"),
  });
  const both = await statusOf(made, "guardrails", { fault, unknownKinds: ["a.b"] });
  expect(both?.reason).toMatch(/a\.b; may be written$/);
  expect(both?.remedy).toMatch(/^correct .*; chown it$/);
});

test("kinds are known as commands of the service or as windows", () => {
  const limit = { max: 1, perMinutes: 1 };
  const commands = {
    allow: ["health.report", "certificate.revok"],
    limits: { "session-cuts": limit, "session-cut": limit },
    approval: { "health.reports": { signatures: 1, local: true } },
  };
  const handlers = { "health.report": { payload: z.unknown(), run: async () => undefined } };
  expect(unknownKinds(commands, handlers)).toEqual([
    "certificate.revok",
    "session-cut (did you mean session-cuts?)",
    "health.reports (did you mean health.report?)",
  ]);
});

test("a standalone connector's streams keep their newest 10,000 entries", async () => {
  await using made = await makeStore();
  const add = (from: number, count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, n) =>
        made.store.run("recordAudit", { at: from + n, event: "e", payload: {} }),
      ),
    );
  await add(1, 9_000);
  await add(9_001, 1_000);
  await made.store.run("trimStandaloneStreams");
  expect((await made.store.run("streamFigures"))[0]?.unackedEntries).toBe(10_000);
  await add(10_001, 5);
  await made.store.run("trimStandaloneStreams");
  expect((await made.store.run("streamFigures"))[0]?.unackedEntries).toBe(10_000);
  const batch = await made.store.run("takeStreamBatch", {
    stream: "audit",
    afterSeq: 0,
    maxEntries: 1,
    maxBytes: 100_000,
  });
  expect(JSON.parse(batch?.lines[0] ?? "{}").index).toBe(6);
});
