import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import type { Scene } from "./scene.ts";
import { SITE } from "./settings.ts";

const LOOK_MS = 500;

interface Told {
  readonly id: number;
  readonly recorded_at: number;
  readonly kind: "device.deleted" | "device.reappeared";
  readonly key: string;
}

/**
 * Looks at the cloud while everything goes wrong: a device may only be told as deleted that the site has removed by then, and only as
 * back where the site itself took it back. What is wrong for a while and mended before the end is found by nobody else. What the site was
 * asked until then is left in `requests.json`.
 */
export class DeletionWatch implements AsyncDisposable {
  readonly #scene: Scene;
  readonly #seen = new Set<string>();
  readonly #end = new AbortController();
  readonly #looking: Promise<void>;
  readonly #faulty = new Set<string>();
  #deletions = 0;
  #returns = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#looking = this.#run();
  }

  get faulty(): readonly string[] {
    return [...this.#faulty];
  }

  get figures(): readonly string[] {
    return [`${this.#deletions} devices told as deleted`, `${this.#returns} told as back`];
  }

  async look(): Promise<void> {
    const told = this.#news();
    if (told.length === 0) return;
    // Asked behind what was told: what the site removes in between cannot excuse much.
    const changes = (await this.#scene.site.ask("changes")) as readonly {
      readonly kind: string;
      readonly resourceId?: number;
    }[];
    const keysOf = (...kinds: readonly string[]) =>
      new Set(
        changes
          .filter(({ kind }) => kinds.includes(kind))
          .map(({ resourceId }) => String(resourceId)),
      );
    const [removed, restored] = [keysOf("remove", "restore"), keysOf("restore")];
    let isFaulty = false;
    for (const { kind, key } of told) {
      const isDeletion = kind === "device.deleted";
      if (isDeletion) this.#deletions += 1;
      else this.#returns += 1;
      if ((isDeletion ? removed : restored).has(key)) continue;
      const what = isDeletion ? "deleted, and the site has it" : "back, and it was never gone";
      this.#faulty.add(`${key} was told as ${what}`);
      isFaulty = true;
    }
    if (!isFaulty) return;
    const requests = await this.#scene.site.ask("requests");
    writeFileSync(join(this.#scene.folder, "requests.json"), JSON.stringify(requests, null, 1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#looking;
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      await this.look();
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** A restored store numbers again from where it was: hence the time. Read in one go, so that no store is put back meanwhile. */
  #news(): Told[] {
    if (!this.#scene.isRunning("control-plane")) return [];
    using store = new DatabaseSync(this.#scene.storeOf("control-plane"), { readOnly: true });
    const rows = store
      .prepare(
        `SELECT e.id, e.recorded_at, e.kind, r.key FROM timeline_event e
         JOIN inventory_record r ON r.id = e.record_id JOIN inventory_source s ON s.id = r.source_id
         WHERE s.name = ? AND e.kind IN ('device.deleted', 'device.reappeared') ORDER BY e.id`,
      )
      .all(SITE) as unknown as Told[];
    return rows.filter((row) => {
      const text = JSON.stringify(row);
      const isNew = !this.#seen.has(text);
      this.#seen.add(text);
      return isNew;
    });
  }
}
