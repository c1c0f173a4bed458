import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { portCheck } from "./port-check.ts";
import { writeRunFile } from "./run-file.ts";
import { stateFolderAt } from "./state-folder.ts";

/** A taken port, and what the check of a service with this port says. */
async function takenPort() {
  const folder = temporaryFolder();
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    port,
    check: () =>
      portCheck({ stateFolder: folder.path, listen: { address: "127.0.0.1", port } }).run(),
    /** As a service leaves it whose process is `pid` and whose listener is at `listenerPort`. */
    saysRunning: (pid: number, listenerPort = port) =>
      writeRunFile(stateFolderAt(folder.path).runFile, {
        ...{ pid, startedAt: 0, healthUrl: "http://127.0.0.1:1" },
        scepUrl: `http://127.0.0.1:${listenerPort}`,
      }),
    close: () => server.close(),
    async [Symbol.asyncDispose]() {
      server.close();
      folder[Symbol.dispose]();
    },
  };
}

test("a port that another program has is a fault", async () => {
  await using it = await takenPort();
  expect(await it.check()).toMatchObject({
    status: "unhealthy",
    reason: expect.stringContaining(`port ${it.port} on 127.0.0.1 is taken`),
    remedy: "free the port or set listen.port",
  });
  it.close();
  expect(await it.check()).toEqual({ status: "healthy", reason: `port ${it.port} is free` });
});

test("a check beside the running service is well: it is the service that holds the port", async () => {
  await using it = await takenPort();
  it.saysRunning(process.pid);
  expect(await it.check()).toEqual({
    status: "healthy",
    reason: `the running service (pid ${process.pid}) holds port ${it.port}`,
  });
});

test("neither a killed service nor one that runs on another port holds it", async () => {
  await using it = await takenPort();
  const ended = Number(execFileSync(process.execPath, ["-p", "process.pid"], { encoding: "utf8" }));
  it.saysRunning(ended);
  expect(await it.check()).toMatchObject({ status: "unhealthy" });
  it.saysRunning(process.pid, it.port - 1);
  expect(await it.check()).toMatchObject({ status: "unhealthy" });
});
