import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pino } from "pino";
import { expect, test } from "vitest";
import { RefusalError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { askRunningService, type ControlHandlers, serveControlSocket } from "./control-socket.ts";

const log = pino({ level: "silent" });
const handlers: ControlHandlers = {
  echo: async (argument) => argument,
  nothing: async () => undefined,
  refuse: async () => {
    throw new RefusalError("no", "rule", "not this one");
  },
  crash: async () => {
    throw new Error("secret detail");
  },
};

test("a running service answers over a socket that only its user may open", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "control.sock");
  await using _server = await serveControlSocket(path, handlers, log);
  expect(await askRunningService(path, "echo", { a: [1] })).toEqual({ result: { a: [1] } });
  expect(await askRunningService(path, "nothing")).toEqual({ result: null });
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("an error of ours comes with its sentence, another without detail", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "control.sock");
  await using _server = await serveControlSocket(path, handlers, log);
  await expect(askRunningService(path, "refuse")).rejects.toMatchObject({
    code: "no",
    message: "not this one",
  });
  await expect(askRunningService(path, "crash")).rejects.toThrow(/its log says why/);
  await expect(askRunningService(path, "toString")).rejects.toMatchObject({
    code: "control-unknown",
  });
});

test("nobody answers where nothing runs, nor where a killed process left its socket", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "control.sock");
  expect(await askRunningService(path, "echo")).toBeUndefined();
  writeFileSync(path, "");
  expect(await askRunningService(path, "echo")).toBeUndefined();
  await using _server = await serveControlSocket(path, handlers, log);
  expect(await askRunningService(path, "echo", 1)).toEqual({ result: 1 });
});

test("a state folder deeper than a socket address is long works too", async () => {
  using folder = temporaryFolder();
  const deep = join(folder.path, "d".repeat(60), "e".repeat(60));
  mkdirSync(deep, { recursive: true });
  const path = join(deep, "control.sock");
  await using _server = await serveControlSocket(path, handlers, log);
  expect(await askRunningService(path, "echo", 1)).toEqual({ result: 1 });
});

test.each([
  ["no JSON", "garbage", "internal"],
  ["a request without a method", "{}", "internal"],
  [
    "a request at the limit",
    JSON.stringify({ method: "echo", argument: "" }).padEnd(131_072),
    "ok",
  ],
])("%s gets an answer", async (_what, sent, code) => {
  using folder = temporaryFolder();
  const path = join(folder.path, "control.sock");
  await using _server = await serveControlSocket(path, handlers, log);
  const answer = JSON.parse(await exchange(path, sent));
  expect(answer.error?.code ?? "ok").toBe(code);
});

test("a request over the limit is cut off", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "control.sock");
  await using _server = await serveControlSocket(path, handlers, log);
  expect(await exchange(path, " ".repeat(131_073)).catch(() => "")).toBe("");
  expect(await askRunningService(path, "echo", 1)).toEqual({ result: 1 });
});

async function exchange(path: string, sent: string): Promise<string> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.end(sent);
  return await text(socket);
}
