import { codeOf } from "@isthmus/shared/errors";
import type { SeededRandom } from "./random.ts";
import { SCRIPT, SCRIPT_SHA256, type Scene, SITE } from "./scene.ts";

const FIRST_RESOURCE_ID = 16_777_216;
/** So that the actions of offline devices come to an end within the run. */
const EXPIRES_MS = 60_000;

/** What goes on all the while: devices change, and an administrator asks for things. */
export class Load {
  readonly #scene: Scene;
  readonly #random: SeededRandom;
  readonly #devices: number;
  /** Ids of commands that the control plane has taken. */
  readonly commands: string[] = [];
  #marker = 0;
  #refused = 0;
  /** What the control plane said last where it took none. */
  lastRefusal = "";

  constructor(scene: Scene, random: SeededRandom, devices: number) {
    this.#scene = scene;
    this.#random = random;
    this.#devices = devices;
  }

  /** Actions that the control plane was not there for, or would not take. */
  get refused(): number {
    return this.#refused;
  }

  /** A few changes in the fleet and one action. */
  async step(): Promise<void> {
    for (let changes = this.#random.between(1, 5); changes > 0; changes -= 1) {
      await this.#scene.site.ask("change", this.#change());
    }
    await this.#act();
  }

  #device(): number {
    return FIRST_RESOURCE_ID + this.#random.between(0, this.#devices - 1);
  }

  #change(): object {
    const resourceId = this.#device();
    const kind = this.#random.pick([
      ...["inventory", "inventory", "heartbeat", "rename", "online", "add", "remove"],
    ] as const);
    switch (kind) {
      case "rename":
        return { kind, resourceId, name: `RENAMED-${this.#random.between(1, 9_999)}` };
      case "online":
        return { kind, resourceId, isOnline: this.#random.share() < 0.5 };
      case "add":
        return { kind };
      default:
        return { kind, resourceId };
    }
  }

  /** What is asked for twice, or of a device that is gone, is part of life. */
  async #act(): Promise<void> {
    const resourceIds = [...new Set([this.#device(), this.#device()])];
    const expirationDateTime = new Date(Date.now() + EXPIRES_MS).toISOString();
    const about = { target: { resourceIds }, expirationDateTime };
    const base = `/configurationManagerSites/${SITE}`;
    this.#marker += 1;
    const parameters = [{ name: "Marker", value: `m${this.#marker}` }];
    const [path, body] = this.#random.pick([
      [
        `${base}/scripts/${SCRIPT.guid}/run`,
        { ...about, version: "1", sha256: SCRIPT_SHA256, parameters },
      ],
      [`${base}/clientOperations`, { ...about, notification: "refreshMachinePolicy" }],
      [`${base}/queries`, { ...about, query: "OperatingSystem | project Caption" }],
    ] as const);
    try {
      const graph = await this.#scene.graph();
      const { id } = await graph.post<{ id: string }>(path, body);
      this.commands.push(id);
    } catch (error) {
      this.#refused += 1;
      this.lastRefusal = error instanceof Error ? error.message : String(error);
      if (codeOf(error) === "api-refused") this.#scene.forgetSession();
    }
  }
}
