import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseEnrolmentToken } from "@isthmus/shared/link/enrolment-token";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const START_MS = 30_000;
const run = promisify(execFile);

// Every test starts processes.
vi.setConfig({ testTimeout: 90_000 });

let folder: ReturnType<typeof temporaryFolder>;
let config: string;

beforeEach(() => {
  folder = temporaryFolder();
  config = join(folder.path, "config.json");
  configure({ stateFolder: "state", listen: { port: 0 }, log: { level: "info" } });
});
afterEach(() => folder[Symbol.dispose]());

function configure(content: unknown): void {
  writeFileSync(config, JSON.stringify(content));
}

async function command(
  ...words: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await run(process.execPath, [MAIN, ...words])) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

const configured = (...words: string[]) => command(...words, "--config", config);
const inState = (name: string) => join(folder.path, "state", name);

/** A running control plane as its users start it, stopped by SIGTERM. */
async function running() {
  const child = spawn(process.execPath, [MAIN, "run", "--config", config], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  const exited = once(child, "exit") as Promise<[number | null]>;
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  await until(() => existsSync(inState("run.json")) || isOver(), "the start", START_MS);
  return {
    pid: child.pid ?? 0,
    output: () => output,
    async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
      child.kill(signal);
      return (await exited)[0];
    },
    async [Symbol.asyncDispose]() {
      if (!isOver()) child.kill("SIGKILL");
      await exited;
    },
  };
}

const signerPid = (output: string) => {
  const lines = output.split("\n").filter((line) => line.includes('"signer.ready"'));
  return lines.map((line) => Number(JSON.parse(line).pid)).at(-1) ?? 0;
};

test("a running control plane is asked over its socket, and stops clean", {
  timeout: 60_000,
}, async () => {
  await using plane = await running();
  const { token } = JSON.parse(
    (await configured("token", "create", "--service", "cert-connector", "--json")).stdout,
  );
  const { url, caSha256 } = parseEnrolmentToken(token);
  expect(url).toMatch(/^https:\/\/localhost:\d+$/);
  expect(caSha256).toMatch(/^[0-9a-f]{64}$/);
  const status = JSON.parse((await configured("status", "--json")).stdout);
  expect(status.checks.map((check: { status: string }) => check.status)).toEqual(
    status.checks.map(() => "healthy"),
  );
  const ready = await fetch(`${status.healthUrl}/ready`);
  expect([ready.status, await ready.json()]).toMatchObject([200, { isReady: true }]);
  const metrics = await (await fetch(`${status.healthUrl}/metrics`)).text();
  expect(metrics).toContain('isthmus_check_status{check="signer"} 1');
  expect(metrics).toContain("isthmus_http_requests_total");
  const verified = await configured("audit", "verify");
  expect(verified.stdout).toMatch(/audit chain is intact.*\n.*signer's log is intact/);
  // As the connectors say it.
  const check = await configured("check");
  expect([check.code, check.stdout]).toEqual([0, expect.stringMatching(/^ok {4}store: /)]);
  const second = await configured("run");
  expect([second.code, second.stderr]).toEqual([1, expect.stringContaining("in use")]);
  expect(await plane.stop()).toBe(0);
  expect(existsSync(inState("run.json"))).toBe(false);
});

test("it outlives its signer, and the signer does not outlive it", {
  timeout: 60_000,
}, async () => {
  await using plane = await running();
  const first = signerPid(plane.output());
  process.kill(first, "SIGKILL");
  await until(() => signerPid(plane.output()) !== first, "another signer", START_MS);
  const token = await configured("token", "create", "--service", "tunnel-gateway");
  expect(token.code).toBe(0);
  const second = signerPid(plane.output());
  await plane.stop("SIGKILL");
  await until(() => !isAlive(second), "the end of the signer");
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("while it does not run", () => {
  test("accounts are made and given passwords in the store itself", async () => {
    const made = await configured("admin", "create", "ana", "--role", "Reader", "--json");
    expect(JSON.parse(made.stdout)).toMatchObject({ userName: "ana", roles: ["Reader"] });
    const passwordFile = join(folder.path, "password");
    writeFileSync(passwordFile, "a chosen password\n", { mode: 0o600 });
    const reset = await configured(
      "admin",
      "reset-password",
      "ana",
      "--password-file",
      passwordFile,
    );
    expect([reset.code, reset.stdout]).toEqual([0, "ana\n"]);
    expect((await configured("admin", "list")).stdout).toBe("ana: Reader\n");
  });

  test("what needs it says so", async () => {
    for (const words of [["status"], ["token", "create", "--service", "cert-connector"]]) {
      const { code, stderr } = await configured(...words);
      expect([code, stderr]).toEqual([1, expect.stringContaining("does not run")]);
    }
  });

  test("check says what a start lacks", async () => {
    await using taken = createServer();
    taken.listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const socket = "nobody.sock";
    configure({ stateFolder: "state", listen: { port }, signer: { socket } });
    const { code, stdout } = await configured("check", "--json");
    const byName = Object.fromEntries(
      JSON.parse(stdout).checks.map((check: { name: string }) => [check.name, check]),
    );
    expect(code).toBe(1);
    expect(byName).toMatchObject({
      store: { status: "healthy" },
      "tls-certificate": { status: "healthy" },
      listen: { status: "unhealthy", reason: expect.stringContaining(String(port)) },
      signer: { status: "unhealthy", reason: expect.stringContaining(socket) },
    });
  });
});

describe("wrong input", () => {
  test("every fault of the configuration stands in one message", async () => {
    configure({
      listen: { port: 70_000, host: "x" },
      publicUrl: "http://localhost",
      tls: { certificateFile: "missing.pem" },
    });
    const { code, stderr } = await configured("check");
    expect(code).toBe(1);
    for (const key of ["stateFolder", "listen.port", "listen.host", "publicUrl", "tls"]) {
      expect(stderr).toContain(key);
    }
  });

  test.each([
    [["token", "create", "--config", "x", "--service", "toaster"], "toaster"],
    [["admin", "create", "x", "--config", "x", "--role", "King"], "King"],
    [["fly"], "fly"],
    [["run"], "--config"],
  ])("%j is a usage error", async (words, named) => {
    const { code, stderr } = await command(...words);
    expect([code, stderr]).toEqual([2, expect.stringContaining(named)]);
  });

  test("help and completion come without a configuration", async () => {
    expect((await command("--help")).stdout).toContain("signer");
    expect((await command("completion", "bash")).stdout).toContain("reset-password");
  });
});

test("the first password is in a file for this user alone, and nowhere in the log", {
  timeout: 60_000,
}, async () => {
  await using plane = await running();
  const password = readFileSync(inState("initial-admin-password"), "utf8").trim();
  expect(plane.output()).toContain(inState("initial-admin-password"));
  expect(plane.output()).not.toContain(password);
});
