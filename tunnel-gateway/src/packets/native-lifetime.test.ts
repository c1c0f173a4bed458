import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { startEngine, whyNoEngine } from "../testing/engine-under-test.ts";

const ENGINE = pathToFileURL(new URL("../testing/engine-under-test.ts", import.meta.url).pathname);
const ADDON = new URL("./native-addon.ts", import.meta.url);

/** A process with an engine and a hundred open connections, that then does `what`; its exit code and all it printed. */
async function inProcess(what: string) {
  const program = `
    import { startEngine } from ${JSON.stringify(ENGINE.href)};
    const front = await startEngine();
    await Promise.all(Array.from({ length: 100 }, () => front.open()));
    console.log("open");
    ${what}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [output, errors, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  return { code, signal, output, errors };
}

describe.skipIf(whyNoEngine !== undefined)("the life of the native engine", () => {
  test.each([
    { what: "process.exit() with connections open", program: "process.exit(3)", code: 3 },
    { what: "an error that nobody catches", program: "throw new Error('x')", code: 1 },
    {
      what: "its disposal, as nothing else keeps the process alive",
      program: "await front[Symbol.asyncDispose]()",
      code: 0,
    },
    {
      what: "an error in a handler",
      program: "front.record.opened = () => { throw new Error('x') }; await front.open()",
      code: 1,
    },
  ])("ends a process in order by $what", { timeout: 60_000 }, async ({ program, code }) => {
    const ended = await inProcess(program);
    expect(ended).toMatchObject({ code, signal: null, output: "open\n" });
  });

  test("is refused to a second thread of the process, which goes on", async () => {
    await using front = await startEngine();
    const program = `
      import { parentPort } from "node:worker_threads";
      import { loadNativeAddon } from ${JSON.stringify(ADDON.href)};
      parentPort.postMessage(loadNativeAddon());`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
    const [[{ reason }]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
    expect(reason).toBe(
      "the data path is held by another thread of this process, and there is one alone",
    );
    await front.open();
  });

  test("cannot be started twice, but again after its disposal", async () => {
    const first = await startEngine();
    await expect(startEngine()).rejects.toThrow("the data path has been started already");
    await first.open();
    await first[Symbol.asyncDispose]();
    await using second = await startEngine({ port: first.port });
    await second.open();
  });
});
