import { createServer } from "node:net";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { ConnectorError } from "../errors.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { HealthBoard } from "./health.ts";
import { startHealthListener } from "./health-listener.ts";
import type { CheckResult } from "./service-definition.ts";

const healthy: CheckResult = { status: "healthy", reason: "fine" };

async function listening(board: HealthBoard, isStarted = () => true) {
  const metrics = new Registry();
  board.publishTo(metrics);
  const at = { address: "127.0.0.1", port: 0 };
  const listener = await startHealthListener({ ...at, board, metrics, isStarted });
  const get = (path: string, method = "GET") => fetch(`${listener.url}${path}`, { method });
  return { listener, get, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}

test("a process is live, and ready once it has started and no check is unhealthy", async () => {
  const clock = new FakeClock();
  const board = new HealthBoard(clock);
  let result = healthy;
  let isStarted = false;
  board.register({ name: "thing", run: () => result });
  await using made = await listening(board, () => isStarted);
  expect((await made.get("/live")).status).toBe(200);
  expect((await made.get("/ready")).status).toBe(503);
  isStarted = true;
  expect((await made.get("/ready")).status).toBe(200);
  result = { status: "unhealthy", reason: "it broke", remedy: "mend it" };
  clock.advance(5_000);
  const answer = await made.get("/ready");
  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({
    isReady: false,
    isStarted: true,
    checks: [{ name: "thing", status: "unhealthy", reason: "it broke", remedy: "mend it" }],
  });
});

test("a warning does not take readiness away", async () => {
  const board = new HealthBoard(new FakeClock());
  board.register({ name: "link", run: () => ({ status: "warning", reason: "away" }) });
  await using made = await listening(board);
  expect((await made.get("/ready")).status).toBe(200);
});

test("metrics show checks and figures", async () => {
  const board = new HealthBoard(new FakeClock());
  board.register({ name: "thing", run: () => ({ status: "warning", reason: "so so" }) });
  board.figure("sessions", () => 42);
  await using made = await listening(board);
  const text = await (await made.get("/metrics")).text();
  expect(text).toContain('isthmus_check_status{check="thing"} 0.5');
  expect(text).toContain('isthmus_figure{figure="sessions"} 42');
});

test("a figure that is not known any more leaves the metrics", async () => {
  const board = new HealthBoard(new FakeClock());
  let latency = 85;
  board.figure("latency", () => latency);
  board.figure("sessions", () => 42);
  await using made = await listening(board);
  const figures = async () => (await (await made.get("/metrics")).text()).match(/^isthmus_fig.*/gm);
  expect(await figures()).toContain('isthmus_figure{figure="latency"} 85');
  latency = Number.NaN;
  expect(await figures()).toEqual(['isthmus_figure{figure="sessions"} 42']);
  latency = 90;
  expect(await figures()).toContain('isthmus_figure{figure="latency"} 90');
});

test("other paths and methods are refused", async () => {
  await using made = await listening(new HealthBoard(new FakeClock()));
  expect((await made.get("/")).status).toBe(404);
  expect((await made.get("/live", "POST")).status).toBe(405);
});

test("a check that throws is unhealthy, with detail only of our own errors", async () => {
  const board = new HealthBoard(new FakeClock());
  board.register({
    name: "ours",
    run: () => {
      throw new ConnectorError("gone", "the folder is gone");
    },
  });
  board.register({ name: "theirs", run: () => Promise.reject(new Error("boom")) });
  const results = await board.results();
  expect(results.map(({ status }) => status)).toEqual(["unhealthy", "unhealthy"]);
  expect(results[0]?.reason).toBe("the folder is gone");
});

test("checks are run at most every 5 s unless asked for fresh", async () => {
  const clock = new FakeClock();
  const board = new HealthBoard(clock);
  let runs = 0;
  board.register({
    name: "counted",
    run: () => {
      runs += 1;
      return healthy;
    },
  });
  await board.results();
  clock.advance(4_999);
  await board.results();
  expect(runs).toBe(1);
  clock.advance(1);
  await board.results();
  expect(runs).toBe(2);
  await board.results(true);
  expect(runs).toBe(3);
});

test("the number of checks and figures is bounded, and so is what they say", async () => {
  const board = new HealthBoard(new FakeClock());
  const name = (n: number) => `check-${n}`;
  for (let n = 0; n < 100; n++) {
    board.register({ name: name(n), run: () => ({ ...healthy, reason: "x".repeat(2_000) }) });
  }
  expect(() => board.register({ name: "one-more", run: () => healthy })).toThrow(
    expect.objectContaining({ code: "health-too-many" }),
  );
  for (let n = 0; n < 50; n++) board.figure(name(n), () => n);
  expect(() => board.figure("one-more", () => 1)).toThrow(/50 figures/);
  expect((await board.results())[0]?.reason).toHaveLength(1_000);
});

test.each(["Upper", "with space", "", "x".repeat(65)])("%j is no name of a check", (name) => {
  const board = new HealthBoard(new FakeClock());
  expect(() => board.register({ name, run: () => healthy })).toThrow(
    expect.objectContaining({ code: "health-name" }),
  );
});

test("a snapshot leaves out figures that are no numbers", async () => {
  const board = new HealthBoard(new FakeClock());
  board.figure("good", () => 1);
  board.figure("bad", () => Number.NaN);
  const about = { service: "cert-connector", version: "1", startedAt: 1 } as const;
  expect(await board.snapshot(about)).toEqual({ ...about, checks: [], figures: { good: 1 } });
});

test("a taken port is named", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const started = startHealthListener({
    address: "127.0.0.1",
    port,
    board: new HealthBoard(new FakeClock()),
    metrics: new Registry(),
    isStarted: () => true,
  });
  await expect(started).rejects.toThrow(`port ${port} on 127.0.0.1 is taken`);
  server.close();
});

test("a snapshot says the facts that are known, and none that is too long to be compared", async () => {
  const board = new HealthBoard(new FakeClock());
  board.fact("vpn-network", () => "10.8.0.0/16");
  board.fact("vpn-ipv6-network", () => undefined);
  board.fact("longest", () => "x".repeat(256));
  board.fact("too-long", () => "x".repeat(257));
  const about = { service: "tunnel-gateway", version: "1", startedAt: 1 } as const;
  const { facts } = await board.snapshot(about);
  expect(facts).toEqual({ "vpn-network": "10.8.0.0/16", longest: "x".repeat(256) });
});

test("a fiftieth fact is taken, one more is not", () => {
  const board = new HealthBoard(new FakeClock());
  for (let n = 0; n < 50; n++) board.fact(`fact-${n}`, () => "known");
  expect(() => board.fact("one-more", () => "known")).toThrow(/50 facts/);
  expect(() => board.fact("fact-1", () => "again")).not.toThrow();
});
