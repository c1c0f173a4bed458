import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import { IssuanceGate, retryAfterSeconds } from "./issuance-gate.ts";

/** An act that ends when it is told to, and says when it has begun. */
function held(order: string[], name: string) {
  const ending = Promise.withResolvers<void>();
  const act = () => {
    order.push(name);
    return ending.promise;
  };
  return { act, end: () => ending.resolve() };
}

test("so many run at once, the others in the order in which they asked", async () => {
  const gate = new IssuanceGate(new FakeClock(), 2, 10);
  const order: string[] = [];
  const acts = ["a", "b", "c", "d"].map((name) => held(order, name));
  const runs = acts.map(({ act }, index) => gate.run(`${index}`, act));
  expect(order).toEqual(["a", "b"]);
  expect(gate.waiting).toBe(2);
  acts[1]?.end();
  await runs[1];
  expect(order).toEqual(["a", "b", "c"]);
  for (const { end } of acts) end();
  await Promise.all(runs);
  expect(order).toEqual(["a", "b", "c", "d"]);
});

test("a failed act gives its place back", async () => {
  const gate = new IssuanceGate(new FakeClock(), 1, 1);
  const failing = gate.run("a", () => Promise.reject(new Error("no")));
  await expect(failing).rejects.toThrow("no");
  expect(await gate.run("b", async () => "fine")).toBe("fine");
});

test("over the limit of those who wait the next is told when to come back", async () => {
  const gate = new IssuanceGate(new FakeClock(), 1, 1);
  const first = held([], "a");
  const [running, waiting] = [gate.run("a", first.act), gate.run("b", async () => "b")];
  const turnedAway = gate.run("c", async () => "c");
  await expect(turnedAway).rejects.toMatchObject({
    code: "scep-busy",
    isRetryable: true,
    retryAfterSeconds: retryAfterSeconds("c"),
  });
  first.end();
  await running;
  expect(await waiting).toBe("b");
});

test("who was turned away goes before those who asked later, and takes the place of the last", async () => {
  const clock = new FakeClock();
  const gate = new IssuanceGate(clock, 1, 1);
  const order: string[] = [];
  const first = held(order, "first");
  const running = gate.run("first", first.act);
  const early = gate.run("early", async () => void order.push("early"));
  await expect(gate.run("unlucky", async () => undefined)).rejects.toThrow();
  first.end();
  await Promise.all([running, early]);
  clock.advance(30_000);
  const second = held(order, "second");
  const runningAgain = gate.run("second", second.act);
  const late = gate.run("late", async () => void order.push("late"));
  const again = gate.run("unlucky", async () => void order.push("unlucky"));
  await expect(late).rejects.toMatchObject({ code: "scep-busy" });
  second.end();
  await Promise.all([runningAgain, again]);
  expect(order).toEqual(["first", "early", "second", "unlucky"]);
});

test("devices are spread over a minute, each to the same second every time", () => {
  const seconds = Array.from({ length: 1_000 }, (_, index) => retryAfterSeconds(`device-${index}`));
  expect(Math.min(...seconds)).toBe(5);
  expect(Math.max(...seconds)).toBe(59);
  expect(new Set(seconds).size).toBe(55);
  expect(retryAfterSeconds("device-1")).toBe(seconds[1]);
});

test("who comes again after it was turned away stands before those who wait since", async () => {
  const clock = new FakeClock();
  const gate = new IssuanceGate(clock, 1, 2);
  const order: string[] = [];
  const note = (name: string) => async () => void order.push(name);
  const first = held(order, "first");
  const running = [gate.run("first", first.act)];
  running.push(gate.run("a", note("a")), gate.run("b", note("b")));
  await expect(gate.run("unlucky", note("unlucky"))).rejects.toThrow();
  first.end();
  await Promise.all(running);
  clock.advance(30_000);
  const second = held(order, "second");
  const later = [gate.run("second", second.act), gate.run("late", note("late"))];
  later.push(gate.run("unlucky", note("unlucky")));
  second.end();
  await Promise.all(later);
  expect(order).toEqual(["first", "a", "b", "second", "unlucky", "late"]);
});
