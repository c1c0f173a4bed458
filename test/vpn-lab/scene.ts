import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ListedVpnSession } from "@isthmus/tunnel-gateway/main/vpn-listing";
import type { TestContext } from "vitest";
import { peer, unfit } from "../peers.ts";
import type { ToolName } from "../tools.ts";
import { type GatewayOptions, type LabGateway, runLabGateway, startLabGateway } from "./gateway.ts";
import { LAB, Lab, labObstacle } from "./namespaces.ts";
import {
  connectOpenconnect,
  type OpenconnectClient,
  type OpenconnectOptions,
  startOpenconnect,
} from "./openconnect.ts";
import { type DevicePapers, type LabPapers, makeLabPapers } from "./papers.ts";
import { startPayloadServer } from "./traffic.ts";

/** More than the minute after which openconnect tries DTLS again. */
const AWAIT_TIMEOUT_MS = 90_000;
const LOOK_EVERY_MS = 50;
const METRICS = "http://127.0.0.1:9100/metrics";

export interface SceneOptions
  extends Pick<GatewayOptions, "group" | "groups" | "desired" | "local" | "vpn" | "cloud"> {
  /** Devices that have papers; all are known and compliant at first. */
  readonly devices?: number;
}

export interface ConnectOptions {
  readonly words?: readonly string[];
  /** The first one unless given. */
  readonly device?: DevicePapers | "none";
  /** The client's TUN device, of several. */
  readonly tunnel?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly address?: string;
  readonly input?: string;
  /** In place of our small one. */
  readonly script?: string;
  /** Of the URL: the group. */
  readonly path?: string;
}

/** A lab with payload server, gateway and devices: what a test of the VPN's behaviour begins with. */
export class Scene implements AsyncDisposable {
  readonly lab: Lab;
  readonly folder: string;
  readonly papers: LabPapers;
  readonly #options: GatewayOptions;
  readonly #resources = new AsyncDisposableStack();
  #gateway: LabGateway | undefined;

  private constructor(folder: string, lab: Lab, papers: LabPapers, options: SceneOptions) {
    this.folder = folder;
    this.lab = lab;
    this.papers = papers;
    const { deviceCaFile, listFile, server, devices } = papers;
    const crl = { file: listFile };
    const local = { trustAnchors: { devices: { file: deviceCaFile, crl } }, ...options.local };
    const deviceIds = devices.map(({ deviceId }) => deviceId);
    const own = { folder: join(folder, "gateway"), port: 443, deviceCaFile, deviceIds, local };
    this.#options = { ...options, ...server, ...own };
  }

  /**
   * `prefix` as of `Lab.make`; `prepare` starts what the gateway needs in the lab, for its options, before there is a gateway.
   * Undefined where no lab can be made: the tests say so, by `ready`.
   */
  static async make(
    prefix: string,
    options: SceneOptions = {},
    prepare: (lab: Lab, folder: string) => Promise<SceneOptions> = async () => ({}),
  ): Promise<Scene | undefined> {
    if (labObstacle() !== undefined) return undefined;
    const folder = mkdtempSync(join(tmpdir(), "isthmus-vpn-"));
    chmodSync(folder, 0o755);
    const papers = await makeLabPapers(folder, options.devices ?? 1);
    const lab = await Lab.make(prefix);
    await using made = new AsyncDisposableStack();
    made.defer(() => rmSync(folder, { recursive: true, force: true }));
    made.use(lab);
    const scene = new Scene(folder, lab, papers, { ...options, ...(await prepare(lab, folder)) });
    scene.#resources.use(made.move());
    try {
      scene.#resources.use(await startPayloadServer(lab));
      scene.#gateway = await startLabGateway(lab, scene.#options);
      scene.#resources.defer(() => scene.#gateway?.[Symbol.asyncDispose]());
      return scene;
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
  }

  get gateway(): LabGateway {
    if (!this.#gateway) throw new Error("the gateway does not run");
    return this.#gateway;
  }

  /** Ends the gateway by SIGKILL and starts it again on what it left. */
  async killAndRestart(): Promise<void> {
    await this.gateway.kill();
    await this.#runAgain();
  }

  /** Ends the gateway by SIGTERM, as its service is restarted. */
  async restart(): Promise<void> {
    const code = await this.gateway.terminate();
    if (code !== 0) throw new Error(`SIGTERM ended it with ${code}:\n${this.gateway.output()}`);
    await this.#runAgain();
  }

  async #runAgain(): Promise<void> {
    const { configurationFile } = this.gateway;
    this.#gateway = await runLabGateway(this.lab, this.#options, configurationFile);
  }

  /** The URL under which clients know the gateway, and where it is. */
  urlWords(address: string = LAB.gateway.ipv4): string[] {
    return ["--resolve", `localhost:${address}`];
  }

  /** A device connects by its certificate and openconnect; its tunnel carries routes when this returns. */
  connect(options: ConnectOptions = {}): Promise<OpenconnectClient> {
    return connectOpenconnect(this.lab, this.#openconnect(options));
  }

  /** Likewise, without waiting: for scripts of others. */
  start(options: ConnectOptions = {}): OpenconnectClient {
    return startOpenconnect(this.lab, this.#openconnect(options));
  }

  /** The gateway's sessions, as its command line lists them. */
  sessions(): Promise<readonly ListedVpnSession[]> {
    return this.gateway.sessions();
  }

  /** Asks the running gateway as its command line does. */
  ask(method: string, argument?: unknown): Promise<unknown> {
    return this.gateway.ask(method, argument);
  }

  /** All metrics by name and labels, as they stand in `/metrics`. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const text = await this.lab.run("gateway", ["curl", "-sS", "--fail", METRICS]);
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  #openconnect(options: ConnectOptions): OpenconnectOptions {
    const { device = this.papers.devices[0], tunnel, environment } = options;
    if (device === undefined) throw new Error("no device");
    const identity = device === "none" ? [] : ["-c", device.certificateFile, "-k", device.keyFile];
    const { address, words = [], input, script, path = "" } = options;
    return {
      folder: this.folder,
      url: `https://localhost/${path}`,
      caFile: this.papers.serverCaFile,
      words: [...identity, ...this.urlWords(address), ...words],
      ...(tunnel === undefined ? {} : { device: tunnel }),
      ...(environment === undefined ? {} : { environment }),
      ...(input === undefined ? {} : { input }),
      ...(script === undefined ? {} : { script }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** The scene, or the test is skipped with the reason; with CI=true it fails. */
export function ready(
  scene: Scene | undefined,
  context: TestContext,
  ...tools: readonly ToolName[]
): Scene {
  const obstacle = labObstacle();
  if (obstacle !== undefined) return unfit(obstacle, context);
  for (const tool of ["ip", "openconnect", "curl", ...tools] as const) peer(tool, context);
  if (!scene) throw new Error("the laboratory was not made");
  return scene;
}

/** Waits until something is so. Throws with `what` (and what `detail` says) where it never is. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  detail: () => string = () => "",
): Promise<void> {
  const from = performance.now();
  while (!(await holds())) {
    if (performance.now() - from > AWAIT_TIMEOUT_MS)
      throw new Error(`never so: ${what}\n${detail()}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
