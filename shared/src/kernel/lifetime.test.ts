import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

const modules = {
  lifetime: new URL("./lifetime.ts", import.meta.url).href,
  pino: import.meta.resolve("pino"),
};

/** Runs `start` in a process of its own; sends `signal` once that has printed "started". */
async function run(start: string, signals: readonly NodeJS.Signals[] = []) {
  const script = `
    const { runUntilStopped } = await import(${JSON.stringify(modules.lifetime)});
    const { pino } = (await import(${JSON.stringify(modules.pino)}));
    const say = (line) => process.stdout.write(line + "\\n");
    setInterval(() => {}, 1000);
    const start = async (lifetime) => { ${start} };
    try { process.exitCode = await runUntilStopped(start, pino({ level: "silent" })); }
    catch (error) { say("threw " + error.message); process.exitCode = 9; }
    say("over");
    process.exit();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
  const output = text(child.stdout);
  const pending = [...signals];
  child.stdout.on("data", (chunk: Buffer) => {
    if (!/started|stopping/.test(chunk.toString())) return;
    const signal = pending.shift();
    if (signal !== undefined) child.kill(signal);
  });
  const [exitCode] = await once(child, "exit");
  return { exitCode, lines: (await output).trim().split("\n") };
}

test.each(["SIGTERM", "SIGINT"] as const)("%s stops cleanly, in reverse order", async (signal) => {
  const { exitCode, lines } = await run(
    `lifetime.resources.defer(() => say("first"));
     lifetime.resources.defer(async () => say("second " + lifetime.signal.aborted));
     say("started");`,
    [signal],
  );
  expect(lines).toEqual(["started", "second true", "first", "over"]);
  expect(exitCode).toBe(0);
});

test("a failure nobody handles stops with exit code 1, cleanly too", async () => {
  const { exitCode, lines } = await run(
    `lifetime.resources.defer(() => say("disposed"));
     setTimeout(() => { throw new Error("boom"); }, 1);`,
  );
  expect(lines).toEqual(["disposed", "over"]);
  expect(exitCode).toBe(1);
});

test("a start that fails gives back what it had, and throws", async () => {
  const { exitCode, lines } = await run(
    `lifetime.resources.defer(() => say("disposed"));
     throw new Error("no start");`,
  );
  expect(lines).toEqual(["disposed", "threw no start", "over"]);
  expect(exitCode).toBe(9);
});

test("a signal during the start ends it there", async () => {
  const { exitCode, lines } = await run(
    `lifetime.resources.defer(() => say("disposed"));
     say("started");
     await new Promise((resolve) => lifetime.signal.addEventListener("abort", resolve));
     lifetime.signal.throwIfAborted();`,
    ["SIGTERM"],
  );
  expect(lines).toEqual(["started", "disposed", "over"]);
  expect(exitCode).toBe(0);
});

test("a second signal ends at once", async () => {
  const { exitCode, lines } = await run(
    `lifetime.resources.defer(() => new Promise(() => say("stopping")));
     say("started");`,
    ["SIGTERM", "SIGTERM"],
  );
  expect(lines).toEqual(["started", "stopping"]);
  expect(exitCode).toBe(1);
});
