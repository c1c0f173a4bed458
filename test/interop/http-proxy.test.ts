import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import { until } from "@isthmus/shared/testing/until";
import { DEMO } from "@isthmus/suite/configurations";
import { layoutOf } from "@isthmus/suite/layout";
import { freePorts } from "@isthmus/suite/ports";
import { askChallenge, setUp } from "@isthmus/suite/set-up";
import { Suite } from "@isthmus/suite/suite";
import { expect, test } from "vitest";
import { peer } from "../peers.ts";

const USER = "connector";
const PASSWORD = "correct-horse-7";

test("connectors behind tinyproxy with Basic credentials enrol and work", async (context) => {
  const tinyproxy = peer("tinyproxy", context);
  const folder = mkdtempSync(join(tmpdir(), "isthmus-proxy-"));
  const proxy = await startTinyproxy(tinyproxy, folder);
  const credentialsFile = join(folder, "credentials");
  writeFileSync(credentialsFile, `${USER}:${PASSWORD}\n`, { mode: 0o600 });
  const ports = await freePorts();
  const cloud = { proxy: { url: `http://127.0.0.1:${proxy.port}`, credentialsFile } };
  try {
    await using suite = new Suite({ layout: layoutOf(join(folder, "suite")), ports, cloud });
    await setUp(suite);
    const graph = await suite.graph();
    await until(async () => {
      const connectors = await graph.list<{ isConnected: boolean }>("/connectors");
      return connectors.length === 3 && connectors.every(({ isConnected }) => isConnected);
    }, "three connectors connected through the proxy");

    const target = `CONNECT localhost:${ports.controlPlane}`;
    const connects = proxy.log().split(target).length - 1;
    // Three enrolments and three links.
    expect(connects).toBeGreaterThanOrEqual(6);
    expect(await askChallenge(suite, DEMO.deviceId)).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);

    const id = (await graph.list<{ id: string; service: string }>("/connectors"))[0]?.id;
    const command = await graph.post<{ id: string }>("/commands", {
      connectorId: id,
      kind: "health.report",
    });
    await until(async () => {
      const { state } = await graph.get<{ state: string }>(`/commands/${command.id}`);
      return state === "succeeded";
    }, "a command run through the proxy");
  } finally {
    await proxy.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("wrong credentials at the proxy are named in the error", async (context) => {
  const tinyproxy = peer("tinyproxy", context);
  const folder = mkdtempSync(join(tmpdir(), "isthmus-proxy-"));
  const proxy = await startTinyproxy(tinyproxy, folder);
  const credentialsFile = join(folder, "credentials");
  writeFileSync(credentialsFile, `${USER}:wrong\n`, { mode: 0o600 });
  const cloud = { proxy: { url: `http://127.0.0.1:${proxy.port}`, credentialsFile } };
  try {
    const ports = await freePorts();
    await using suite = new Suite({ layout: layoutOf(join(folder, "suite")), ports, cloud });
    await expect(setUp(suite)).rejects.toThrow(/proxy-credentials/);
  } finally {
    await proxy.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

interface Tinyproxy {
  readonly port: number;
  log(): string;
  stop(): Promise<void>;
}

async function startTinyproxy(path: string, folder: string): Promise<Tinyproxy> {
  const port = await freePort();
  const logFile = join(folder, "tinyproxy.log");
  const configuration = [
    `Port ${port}`,
    "Listen 127.0.0.1",
    "Allow 127.0.0.1",
    `BasicAuth ${USER} ${PASSWORD}`,
    `LogFile "${logFile}"`,
    "LogLevel Connect",
    "MaxClients 50",
    "Timeout 600",
  ];
  const configurationFile = join(folder, "tinyproxy.conf");
  writeFileSync(configurationFile, `${configuration.join("\n")}\n`);
  const child = spawn(path, ["-d", "-c", configurationFile], { stdio: "ignore" });
  await until(() => canConnect(port), "tinyproxy listening");
  return { port, log: () => readFileSync(logFile, "utf8"), stop: () => stop(child) };
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

function stop(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.once("close", () => resolve());
    child.kill("SIGTERM");
  });
}
