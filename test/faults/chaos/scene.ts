import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { freePort } from "@isthmus/shared/testing/free-port";
import { until } from "@isthmus/shared/testing/until";
import { ChildService, runCommand } from "@isthmus/suite/process/child-service";
import {
  type ConfigurationManager,
  startConfigurationManager,
} from "@isthmus/suite/process/configuration-manager";
import { enrolConnector } from "@isthmus/suite/process/enrol-connector";
import { GraphClient } from "@isthmus/suite/process/graph-client";
import { APPLICATIONS, DESIRED, guardrails, SCRIPT, SITE, TOKEN } from "./settings.ts";
import { Wire } from "./wire.ts";

const CLOCK = new URL("./jumping-clock.ts", import.meta.url).href;
const WAIT_MS = 60_000;

/** Of the small disk that each bridge has of its own, to be filled. */
export const DISK_MEBIBYTES = 64;

export type Machine = "control-plane" | "bridge-a" | "bridge-b";
export const BRIDGES = ["bridge-a", "bridge-b"] as const;
export const MACHINES: readonly Machine[] = ["control-plane", ...BRIDGES];

/** A site, a control plane and two bridges of one site, each a process, and the lines between them. */
export class Scene implements AsyncDisposable {
  readonly folder: string;
  readonly site: ConfigurationManager;
  readonly siteUrl: string;
  /** Between each bridge and the control plane, and between them and the site. */
  readonly wires: { readonly cloud: Wire; readonly site: Wire };
  readonly #running = new Map<string, ChildService>();
  readonly #disks = new Set<string>();
  readonly sitePort: number;
  readonly #cloudPort: number;
  readonly seed: number;
  #graph: Promise<GraphClient> | undefined;
  connectors: Readonly<Record<(typeof BRIDGES)[number], string>> = {
    "bridge-a": "",
    "bridge-b": "",
  };

  private constructor(
    folder: string,
    ports: { readonly cloud: number; readonly site: number },
    site: ConfigurationManager,
    wires: Scene["wires"],
    seed: number,
  ) {
    this.folder = folder;
    this.seed = seed;
    this.#cloudPort = ports.cloud;
    this.sitePort = ports.site;
    this.site = site;
    this.wires = wires;
    this.siteUrl = `https://localhost:${wires.site.port}`;
  }

  static async open(folder: string, devices: number, seed: number): Promise<Scene> {
    const sitePort = await freePort();
    const site = await startConfigurationManager({
      port: sitePort,
      token: TOKEN,
      caFile: join(folder, "site-ca.pem"),
      given: {
        devices,
        seed,
        scripts: [SCRIPT],
        applications: APPLICATIONS,
        updates: 5,
        users: 20,
        onlineShare: 0.9,
      },
    });
    const cloudPort = await freePort();
    const wires = { cloud: await Wire.open(cloudPort), site: await Wire.open(sitePort) };
    const scene = new Scene(folder, { cloud: cloudPort, site: sitePort }, site, wires, seed);
    await scene.#setUp();
    return scene;
  }

  async #setUp(): Promise<void> {
    this.#write("control-plane", {
      listen: { address: "127.0.0.1", port: this.#cloudPort },
      publicUrl: `https://localhost:${this.wires.cloud.port}`,
      tls: { names: ["localhost"] },
    });
    await this.start("control-plane");
    const ids: Record<string, string> = {};
    for (const bridge of BRIDGES) {
      this.#mountDisk(bridge, DISK_MEBIBYTES);
      this.#write(bridge, {
        guardrailsFile: "guardrails.json",
        site: {
          ...{ url: this.siteUrl, siteCode: SITE, tokenFile: "token", caFile: "../site-ca.pem" },
          // A site that does not answer is given up sooner than in life.
          limits: { firstByteTimeoutMs: 3_000, timeoutMs: 10_000, breakerOpenMs: 500 },
        },
      });
      writeFileSync(join(this.folder, bridge, "token"), TOKEN, { mode: 0o600 });
      writeFileSync(
        join(this.folder, bridge, "guardrails.json"),
        JSON.stringify(guardrails(this.seed), null, 2),
        { mode: 0o444 },
      );
      ids[bridge] = await this.#enrol(bridge);
    }
    this.connectors = ids as Scene["connectors"];
  }

  /** PEM. */
  siteAuthority(): string {
    return readFileSync(join(this.folder, "site-ca.pem"), "utf8");
  }

  /** The control plane's API as an administrator. */
  graph(): Promise<GraphClient> {
    this.#graph ??= this.#signIn().catch((error: unknown) => {
      this.forgetSession();
      throw error;
    });
    return this.#graph;
  }

  /** Whatever session there was may be gone with a restored store. */
  forgetSession(): void {
    this.#graph = undefined;
  }

  async #signIn(): Promise<GraphClient> {
    const state = join(this.folder, "control-plane", "state");
    return await GraphClient.signIn({
      url: new URL(`https://localhost:${this.#cloudPort}`),
      authority: readFileSync(join(state, "ca.pem"), "utf8"),
      userName: "admin",
      password: readFileSync(join(state, "initial-admin-password"), "utf8").trim(),
    });
  }

  async #enrol(bridge: (typeof BRIDGES)[number]): Promise<string> {
    const graph = await this.graph();
    const connectorId = await enrolConnector(graph, {
      ...{ service: "comgmt-bridge", name: bridge },
      ...{ entry: entryOf(bridge), configFile: this.#configFile(bridge) },
    });
    await graph.put(`/connectors/${connectorId}/desiredConfiguration`, {
      configuration: DESIRED,
    });
    return connectorId;
  }

  /** Starts a machine, and waits until it is ready. */
  async start(machine: Machine, asName: string = machine): Promise<void> {
    const service = await ChildService.start({
      name: asName,
      entry: entryOf(machine),
      configFile: this.#configFile(asName),
      stateFolder: this.stateOf(asName),
      logFile: this.logFileOf(asName),
      environment: {
        NODE_OPTIONS: `--import ${CLOCK}`,
        ISTHMUS_CHAOS_CLOCK: this.clockFileOf(asName),
      },
    });
    this.#running.set(asName, service);
  }

  async stop(name: string, how: "stop" | "kill"): Promise<void> {
    await this.#running.get(name)?.[how]();
    this.#running.delete(name);
  }

  isRunning(name: string): boolean {
    const service = this.#running.get(name);
    return service !== undefined && !service.hasEnded;
  }

  /** Starts again what has ended. */
  async restore(machine: Machine): Promise<void> {
    if (this.isRunning(machine)) return;
    await this.start(machine);
  }

  /** Runs a command of a machine's program on its host. */
  command(machine: Machine, ...words: readonly string[]): Promise<string> {
    return runCommand(entryOf(machine), [...words, "--config", this.#configFile(machine)]);
  }

  stateOf(name: string): string {
    return join(this.folder, name, "state");
  }

  storeOf(machine: Machine): string {
    return join(this.stateOf(machine), "store.db");
  }

  logFileOf(name: string): string {
    return join(this.folder, "logs", `${name}.log`);
  }

  clockFileOf(name: string): string {
    return join(this.folder, `${name}.clock`);
  }

  /** Copies the files of a machine that is not running. */
  copy(from: string, to: string): void {
    rmSync(join(this.folder, to), { recursive: true, force: true });
    cpSync(join(this.folder, from), join(this.folder, to), {
      recursive: true,
      filter: (path) => !path.endsWith(".sock"),
    });
  }

  /** Puts a copy of the state back. */
  putBack(copy: string, machine: Machine): void {
    const state = this.stateOf(machine);
    for (const name of ["store.db", "store.db-wal", "store.db-shm"]) {
      rmSync(join(state, name), { force: true });
    }
    cpSync(this.stateOf(copy), state, { recursive: true });
  }

  /** Gives a machine's state a small disk of its own. Needs root. */
  #mountDisk(machine: Machine, mebibytes: number): void {
    const folder = this.stateOf(machine);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m,mode=700`, "tmpfs", folder]);
    this.#disks.add(folder);
  }

  /** Ends everything; the folder stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const service of this.#running.values()) await service.kill();
    this.#running.clear();
    for (const wire of Object.values(this.wires)) await wire[Symbol.asyncDispose]();
    await this.site[Symbol.asyncDispose]();
    for (const folder of this.#disks) execFileSync("umount", ["-l", folder]);
  }

  #configFile(name: string): string {
    return join(this.folder, name, "config.json");
  }

  #write(machine: Machine, configuration: Readonly<Record<string, unknown>>): void {
    mkdirSync(join(this.folder, machine), { recursive: true, mode: 0o700 });
    const health = { address: "127.0.0.1", port: 0 };
    const whole = { stateFolder: "state", health, log: { level: "info" }, ...configuration };
    writeFileSync(this.#configFile(machine), JSON.stringify(whole, null, 2));
  }
}

/** The bridge that reads the site, as far as the control plane knows. */
export function activeBridge(scene: Scene): (typeof BRIDGES)[number] | undefined {
  using store = new DatabaseSync(scene.storeOf("control-plane"), { readOnly: true });
  const row = store
    .prepare("SELECT connector_id AS id FROM inventory_source WHERE name = ?")
    .get(SITE);
  return BRIDGES.find((bridge) => scene.connectors[bridge] === row?.["id"]);
}

/** Waits longer than any of these processes may need to come back. */
export async function soon(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  ms = WAIT_MS,
): Promise<void> {
  const isSoOrFails = async () => {
    try {
      return await isSo();
    } catch {
      return false;
    }
  };
  await until(isSoOrFails, what, ms);
}

/** The same for what need not come. */
export async function within(ms: number, isSo: () => boolean | Promise<boolean>): Promise<void> {
  await soon("what need not come", isSo, ms).catch(() => undefined);
}

function entryOf(machine: Machine): string {
  const service = machine === "control-plane" ? machine : "comgmt-bridge";
  return new URL(`../../../${service}/src/main.ts`, import.meta.url).pathname;
}
