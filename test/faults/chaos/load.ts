import { codeOf } from "@isthmus/shared/errors";
import type { LoadStep, TargetedWish, Wish } from "./load-steps.ts";
import type { Scene } from "./scene.ts";
import { applicationGuid, COLLECTION, PROPERTY, SCRIPT, SCRIPT_SHA256, SITE } from "./settings.ts";

/** So that the actions of offline devices come to an end within the run. */
const EXPIRES_MS = 60_000;
/** An action is withdrawn soon or not at all. */
const CANCELLABLE = 5;

/** Does what a schedule has in store for the fleet and its administrator. */
export class Load {
  readonly #scene: Scene;
  /** Ids of the actions that the control plane has taken. */
  readonly actions: string[] = [];
  /** Of scripts, by their actions. */
  readonly markers = new Map<string, string>();
  /** How often each kind was taken. */
  readonly taken: Record<string, number> = {};
  /** By the number under which it was drawn; after a restored backup the site gives numbers again. */
  readonly #added: number[] = [];
  readonly #firstAdded: number;
  #refused = 0;
  /** What the control plane said last where it took none. */
  lastRefusal = "";

  constructor(scene: Scene, firstAdded: number) {
    this.#scene = scene;
    this.#firstAdded = firstAdded;
  }

  /** Actions that the control plane was not there for, or would not take. */
  get refused(): number {
    return this.#refused;
  }

  async run({ changes, wish }: LoadStep): Promise<void> {
    for (const change of changes) {
      const made = await this.#scene.site.ask("change", this.#real(change));
      if (change.kind === "add") this.#added.push(Number(made));
    }
    try {
      await this.#ask(wish);
    } catch (error) {
      this.#refused += 1;
      this.lastRefusal = error instanceof Error ? error.message : String(error);
      if (codeOf(error) === "api-refused") this.#scene.forgetSession();
    }
  }

  #idOf(drawn: number): number {
    return this.#added[drawn - this.#firstAdded] ?? drawn;
  }

  #real(change: LoadStep["changes"][number]): object {
    if (change.kind === "collection") {
      return { ...change, members: change.members.map((drawn) => this.#idOf(drawn)) };
    }
    return "resourceId" in change
      ? { ...change, resourceId: this.#idOf(change.resourceId) }
      : change;
  }

  async #ask(wish: Wish): Promise<void> {
    const request = await this.#requestOf(wish);
    if (request === undefined) return;
    const graph = await this.#scene.graph();
    const expirationDateTime = new Date(Date.now() + EXPIRES_MS).toISOString();
    const isTimed = wish.kind !== "cancel";
    const body = { ...request.body, ...(isTimed && { expirationDateTime }) };
    const { id } = await graph.post<{ id: string }>(request.path, body);
    this.taken[wish.kind] = (this.taken[wish.kind] ?? 0) + 1;
    if (!isTimed) return;
    this.actions.push(id);
    if (wish.kind === "script") this.markers.set(id, wish.marker);
  }

  /** Undefined where there is nothing to ask for. */
  async #requestOf(
    wish: Wish,
  ): Promise<{ readonly path: string; readonly body: object } | undefined> {
    const base = `/configurationManagerSites/${SITE}`;
    switch (wish.kind) {
      case "cancel": {
        const last = this.actions.slice(-CANCELLABLE);
        const id = last[Math.floor(wish.at * last.length)];
        return id === undefined
          ? undefined
          : { path: `${base}/clientOperations/${id}/cancel`, body: {} };
      }
      case "refresh":
        return {
          path: `${await this.#deviceOf(wish.resourceId)}/refreshConfigurationManagerInventory`,
          body: {},
        };
      case "properties":
        return {
          path: `${await this.#deviceOf(wish.resourceId)}/setConfigurationManagerProperties`,
          body: { set: { [PROPERTY]: wish.marker } },
        };
      case "notify-collection": {
        const target = { collectionId: COLLECTION };
        return {
          path: `${base}/clientOperations`,
          body: { target, notification: "refreshUserPolicy" },
        };
      }
      default:
        return this.#targeted(base, wish);
    }
  }

  #targeted(base: string, wish: TargetedWish): { readonly path: string; readonly body: object } {
    const target = { resourceIds: wish.resourceIds.map((drawn) => this.#idOf(drawn)) };
    switch (wish.kind) {
      case "script": {
        const parameters = [{ name: "Marker", value: wish.marker }];
        return {
          path: `${base}/scripts/${SCRIPT.guid}/run`,
          body: { target, version: "1", sha256: SCRIPT_SHA256, parameters },
        };
      }
      case "query": {
        const query = `OperatingSystem | where Caption != '${wish.marker}' | project Caption`;
        return { path: `${base}/queries`, body: { target, query } };
      }
      case "application": {
        const application = applicationGuid(this.#scene.seed, wish.application);
        return { path: `${base}/applications/${application}/install`, body: { target } };
      }
      case "notify":
        return {
          path: `${base}/clientOperations`,
          body: { target, notification: wish.notification },
        };
    }
  }

  async #deviceOf(drawn: number): Promise<string> {
    const graph = await this.#scene.graph();
    const filter = encodeURIComponent(`configurationManagerKey eq '${this.#idOf(drawn)}'`);
    const [device] = await graph.list<{ id: string }>(`/managedDevices?$filter=${filter}`);
    if (device === undefined) throw new Error(`the cloud has no device ${drawn}`);
    return `/managedDevices/${device.id}`;
  }
}
