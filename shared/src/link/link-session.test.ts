import { expect, test, vi } from "vitest";
import { makeStore } from "../testing/kernel-store-fixture.ts";
import { sessionFixture } from "../testing/link-session-fixture.ts";
import { until } from "../testing/until.ts";
import { PING_INTERVAL_MS, SILENCE_LIMIT_MS } from "./messages.ts";
import { SECOND_REPORT_MS } from "./reports.ts";

test("a command that comes in one breath with the welcome is taken, after the lanes are reconciled", async () => {
  await using made = await makeStore();
  const { session, happened, say, open, ended } = sessionFixture(made.store);
  await open();
  say({ type: "command", jws: "first" });
  say({ type: "command", jws: "second" });
  await until(() => happened.length === 4, "both commands");
  expect(happened).toEqual(["open", "attached", "first", "second"]);
  expect(ended()).toBeUndefined();
  session.close();
});

test("a session pings once when it has heard nothing for 25 s, and not before", async () => {
  await using made = await makeStore();
  const { session, sent, happened, open } = sessionFixture(made.store);
  await open();
  await until(() => happened.includes("attached"));
  const heardAt = performance.now();
  const pings = () => sent.filter(({ type }) => type === "ping").length;
  session.tick(heardAt + PING_INTERVAL_MS - 1_000);
  expect(pings()).toBe(0);
  for (const laterMs of [1_000, 2_000, 3_000, 24_000]) {
    session.tick(heardAt + PING_INTERVAL_MS + laterMs);
  }
  expect(pings()).toBe(1);
  session.tick(heardAt + 2 * PING_INTERVAL_MS + 2_000);
  expect(pings()).toBe(2);
  session.close();
});

test("a session that hears nothing for longer is held for dead", async () => {
  await using made = await makeStore();
  const { session, happened, open, ended } = sessionFixture(made.store);
  await open();
  await until(() => happened.includes("attached"));
  const heardAt = performance.now();
  session.tick(heardAt + SILENCE_LIMIT_MS - 1_000);
  expect(ended()).toBeUndefined();
  session.tick(heardAt + SILENCE_LIMIT_MS + 1_000);
  expect(ended()?.reason).toMatchObject({ code: "link-silent", isRetryable: true });
});

test("a session looks by itself when something is due, with one timer, and with none once it has ended", async () => {
  await using made = await makeStore();
  const { session, sent, happened, open, ended } = sessionFixture(made.store);
  await open();
  await until(() => happened.includes("attached"));
  const count = (of: string) => sent.filter(({ type }) => type === of).length;
  await until(() => count("state") > 0, "the first report");
  const set = vi.spyOn(globalThis, "setTimeout");
  const cleared = vi.spyOn(globalThis, "clearTimeout");
  try {
    session.tick();
    const [look, afterMs] = set.mock.calls.at(-1) ?? [];
    // The second report is what comes next.
    expect(afterMs).toBeGreaterThan(1_000);
    expect(afterMs).toBeLessThanOrEqual(SECOND_REPORT_MS + 1);
    expect(set).toHaveBeenCalledTimes(1);
    look?.();
    expect(set).toHaveBeenCalledTimes(2);
    session.close();
    expect(cleared).toHaveBeenLastCalledWith(set.mock.results.at(-1)?.value);
    session.tick();
    expect(set).toHaveBeenCalledTimes(2);
  } finally {
    set.mockRestore();
    cleared.mockRestore();
  }
  expect(ended()).toBeDefined();
});

test.each([
  ["nonce", 10_000, "link-no-nonce"],
  ["welcome", 30_000, "link-silent"],
])("a %s that does not come ends the attempt", async (awaited, limitMs, code) => {
  await using made = await makeStore();
  const { session, sent, say, ended } = sessionFixture(made.store);
  if (awaited === "welcome") {
    say({ type: "nonce", nonce: "abc", serverTimeMs: 1 });
    await until(() => sent.length === 1, "the hello");
  }
  const heardAt = performance.now();
  session.tick(heardAt + limitMs - 1_000);
  expect(ended()).toBeUndefined();
  session.tick(heardAt + limitMs + 1_000);
  expect(ended()?.reason).toMatchObject({ code });
});

test("a ping is answered with its own number", async () => {
  await using made = await makeStore();
  const { session, sent, say } = sessionFixture(made.store);
  say({ type: "ping", id: 42 });
  expect(sent).toEqual([{ type: "pong", id: 42 }]);
  session.close();
});

test("an unknown kind is answered, and the session goes on", async () => {
  await using made = await makeStore();
  const { session, sent, say, happened, open, ended } = sessionFixture(made.store);
  await open();
  await until(() => happened.includes("attached"));
  say({ type: "from-the-future", x: 1 });
  expect(sent).toContainEqual({ type: "unsupported", of: "from-the-future" });
  expect(ended()).toBeUndefined();
  session.close();
});

test("a refusal ends the session with the control plane's own code, and says whether to come back", async () => {
  await using made = await makeStore();
  const { say, ended } = sessionFixture(made.store);
  say({ type: "refused", code: "identity-cloned", message: "two of them", isFinal: true });
  expect(ended()?.reason).toMatchObject({ code: "identity-cloned", isRetryable: false });
});

test("many wake-ups of health while a check takes its time are one more report", async () => {
  await using made = await makeStore();
  const { session, sent, happened, open, ended } = sessionFixture(made.store);
  await open();
  await until(() => happened.includes("attached"));
  for (let i = 0; i < 1_000; i++) session.wake("health");
  await until(() => sent.filter(({ type }) => type === "state").length >= 2, "the reports");
  expect(sent.filter(({ type }) => type === "state").length).toBeLessThan(4);
  expect(ended()).toBeUndefined();
  session.close();
});
