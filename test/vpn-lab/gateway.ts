import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import type { ListedVpnSession } from "@isthmus/tunnel-gateway/main/vpn-listing";
import { endChild, LAB, type Lab } from "./namespaces.ts";

const ENTRY = fileURLToPath(new URL("../../tunnel-gateway/src/main.ts", import.meta.url));
const HEALTH_PORT = 9_100;
const START_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 50;
const KEPT_CHARACTERS = 50_000;

export interface GatewayOptions {
  readonly folder: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The CA of the devices' certificates. */
  readonly deviceCaFile: string;
  readonly port: number;
  /** Devices that are known and compliant. */
  readonly deviceIds: readonly string[];
  /** Added to the one group's keys. */
  readonly group?: Readonly<Record<string, unknown>>;
  /** In place of the one group. */
  readonly groups?: readonly Readonly<Record<string, unknown>>[];
  /** Added to the desired configuration's keys. */
  readonly desired?: Readonly<Record<string, unknown>>;
  /** Added to the local configuration's keys, and to those of its section `vpn`. */
  readonly local?: Readonly<Record<string, unknown>>;
  readonly vpn?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** A control plane that it reaches from its namespace and enrols with, in place of standing alone. */
  readonly cloud?: Cloud;
}

/** What a gateway of a control plane begins with. */
export interface Cloud {
  readonly enrolmentToken: string;
  /** Gives the connector that has enrolled its desired configuration, before it runs. */
  configure(connectorId: string, configuration: unknown): Promise<void>;
}

/** A gateway in the gateway's namespace. */
export interface LabGateway extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly port: number;
  readonly configurationFile: string;
  /** Of one that stands alone. */
  readonly desiredFile: string;
  output(): string;
  /** Asks it as its command line does. */
  ask(method: string, argument?: unknown): Promise<unknown>;
  /** Its sessions, as its command line lists them. */
  sessions(): Promise<readonly ListedVpnSession[]>;
  /** Runs one of its commands on its host and answers what `--json` prints. */
  command(...words: readonly string[]): Promise<unknown>;
  /** Puts another desired configuration in force: the file is watched. */
  configure(
    change: Partial<Pick<GatewayOptions, "group" | "groups" | "desired" | "deviceIds">>,
  ): void;
  kill(): Promise<void>;
  /** SIGTERM, and waits until it has ended by itself; its exit code. */
  terminate(): Promise<number | null>;
}

/** The keys of the VPN that every lab gateway has: two packet threads, both families inside. */
export const LAB_POOL = { network: "10.98.0.0/16", ipv6Network: "fd98::/112" } as const;

/** Prepares the host as root, starts the gateway and waits until its port is open. */
export async function startLabGateway(lab: Lab, options: GatewayOptions): Promise<LabGateway> {
  mkdirSync(options.folder, { recursive: true });
  const configurationFile = writeConfiguration(options);
  const config = ["--config", configurationFile];
  await lab.run("gateway", [process.execPath, ENTRY, "host-setup", ...config, "--user", "root"]);
  const { cloud } = options;
  if (cloud) {
    const tokenFile = join(options.folder, "token");
    writeFileSync(tokenFile, cloud.enrolmentToken, { mode: 0o600 });
    const words = ["enrol", ...config, "--token-file", tokenFile, "--json"];
    const printed = await lab.run("gateway", [process.execPath, ENTRY, ...words]);
    const { configuration } = desiredConfiguration(options, 1);
    await cloud.configure(JSON.parse(printed).connectorId, configuration);
  }
  return runLabGateway(lab, options, configurationFile);
}

/** Starts it again on the state that it left. */
export async function runLabGateway(
  lab: Lab,
  options: GatewayOptions,
  configurationFile: string,
): Promise<LabGateway> {
  const config = ["--config", configurationFile];
  const words = [process.execPath, ENTRY, "run", ...config];
  const child = lab.start("gateway", words, options.environment ?? {});
  let output = "";
  const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-KEPT_CHARACTERS));
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const from = performance.now();
  for (;;) {
    if (await isReady(lab)) break;
    if (child.exitCode !== null || performance.now() - from > START_TIMEOUT_MS) {
      await endChild(child);
      throw new Error(`the gateway is not ready:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  const desiredFile = join(options.folder, "desired.json");
  const { controlSocket } = stateFolderAt(join(options.folder, "state"));
  const ask = async (method: string, argument?: unknown) =>
    (await askRunningService(controlSocket, method, argument))?.result;
  let version = 1;
  return {
    process: child,
    pid: child.pid ?? 0,
    port: options.port,
    configurationFile,
    desiredFile,
    output: () => output,
    ask,
    async sessions() {
      const { sessions } = (await ask("vpn-sessions")) as { sessions: ListedVpnSession[] };
      return sessions;
    },
    async command(...words) {
      const call = [process.execPath, ENTRY, ...words, ...config, "--json"];
      return JSON.parse(await lab.run("gateway", call));
    },
    configure(change) {
      version += 1;
      writeJson(desiredFile, desiredConfiguration({ ...options, ...change }, version));
    },
    kill: () => endChild(child, "SIGKILL"),
    async terminate() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
      return child.exitCode;
    },
    [Symbol.asyncDispose]: () => endChild(child),
  };
}

/** Lines of its log with one event, as JSON. */
export function loggedBy(gateway: LabGateway, event: string): readonly Record<string, unknown>[] {
  const lines = gateway.output().split("\n");
  const whole = lines.filter((line) => line.startsWith("{") && line.endsWith("}"));
  const parsed = whole.map((line) => JSON.parse(line) as Record<string, unknown>);
  return parsed.filter(({ msg }) => msg === event);
}

/** What `/ready` says, asked from within its namespace. */
async function isReady(lab: Lab): Promise<boolean> {
  try {
    await lab.run("gateway", ["curl", "-fsS", `http://127.0.0.1:${HEALTH_PORT}/ready`]);
    return true;
  } catch {
    return false;
  }
}

function writeConfiguration(options: GatewayOptions): string {
  const { folder } = options;
  writeJson(join(folder, "desired.json"), desiredConfiguration(options, 1));
  const isAlone = options.cloud === undefined;
  const allow = ["health.report", ...(isAlone ? [] : ["devices.update"])];
  writeJson(join(folder, "guardrails.json"), { commands: { allow } });
  mkdirSync(join(folder, "state"), { recursive: true, mode: 0o700 });
  const file = join(folder, "config.json");
  writeJson(file, {
    stateFolder: join(folder, "state"),
    ...(isAlone && { standalone: { desiredConfigurationFile: join(folder, "desired.json") } }),
    guardrailsFile: join(folder, "guardrails.json"),
    health: { address: "127.0.0.1", port: HEALTH_PORT },
    log: { level: "info" },
    listen: { address: "::", port: options.port },
    tls: { certificateFile: options.certificateFile, keyFile: options.keyFile },
    trustAnchors: { devices: { file: options.deviceCaFile } },
    ...options.local,
    vpn: { ...LAB_POOL, tunnels: { count: 2 }, ...options.vpn },
  });
  return file;
}

function desiredConfiguration(
  options: Pick<GatewayOptions, "group" | "groups" | "desired" | "deviceIds">,
  version: number,
) {
  const inside = [
    { cidr: LAB.internal.network, ports: ["1-65535"] },
    { cidr: LAB.internal.ipv6Network, ports: ["1-65535"] },
  ];
  const group = {
    name: "staff",
    authentication: [["certificate"]],
    routesInclude: [LAB.internal.network, LAB.internal.ipv6Network],
    sessionsPerUser: 1_000,
    ...options.group,
  };
  const list = options.deviceIds.map((deviceId) => ({
    deviceId,
    groups: [],
    compliance: "compliant",
  }));
  return {
    version,
    configuration: {
      policies: [
        {
          name: "inside",
          groups: ["*"],
          rules: [
            { name: "everything", action: "allow", destinations: inside },
            {
              name: "ping",
              action: "allow",
              protocol: "icmp",
              destinations: inside.map(({ cidr }) => ({ cidr })),
            },
          ],
        },
      ],
      devices: { source: "list", list },
      vpn: { groups: options.groups ?? [group] },
      ...options.desired,
    },
  };
}

function writeJson(file: string, content: unknown): void {
  writeFileSync(file, JSON.stringify(content, null, 2), { mode: 0o600 });
}
