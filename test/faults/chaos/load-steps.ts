import type { Change } from "../../simulators/configmgr/changes.ts";
import type { SeededRandom } from "./random.ts";
import { APPLICATIONS, COLLECTION, FIRST_RESOURCE_ID, NOTIFICATIONS } from "./settings.ts";

/** Something for devices by the numbers under which they were drawn. */
export interface TargetedWish {
  readonly kind: "script" | "query" | "application" | "notify";
  readonly resourceIds: readonly number[];
  /** Of the command alone, where what is asked for can carry it. */
  readonly marker: string;
  readonly notification: (typeof NOTIFICATIONS)[number];
  readonly application: number;
}

/** What an administrator asks for. */
export type Wish =
  | TargetedWish
  | { readonly kind: "notify-collection" }
  | {
      readonly kind: "refresh" | "properties";
      readonly resourceId: number;
      readonly marker: string;
    }
  /** Of the last few actions the one that lies at this share of them. */
  | { readonly kind: "cancel"; readonly at: number };

/** A few changes in the fleet, and an action. */
export interface LoadStep {
  readonly changes: readonly Change[];
  readonly wish: Wish;
}

const MOST_DEVICES = 4;
const MOST_MEMBERS = 6;
/** Of all devices that are named, so many are gone: that is part of life. */
const GONE_SHARE = 0.03;

/** What goes on all the while, as it follows from the random numbers alone. */
export class LoadSteps {
  readonly #random: SeededRandom;
  readonly #there: number[];
  readonly #gone: number[] = [];
  #lastId: number;
  #marker = 0;

  constructor(random: SeededRandom, devices: number) {
    this.#random = random;
    this.#there = Array.from({ length: devices }, (_, index) => FIRST_RESOURCE_ID + index);
    this.#lastId = FIRST_RESOURCE_ID + devices - 1;
  }

  next(): LoadStep {
    const changes = Array.from({ length: this.#random.between(1, 5) }, () => this.#change());
    return { changes, wish: this.#wish() };
  }

  #change(): Change {
    const kind = this.#random.pick([
      ...["inventory", "inventory", "heartbeat", "rename", "online", "add", "remove"],
      "collection",
    ] as const);
    switch (kind) {
      case "rename":
        return {
          ...{ kind, resourceId: this.#present() },
          name: `RENAMED-${this.#random.between(1, 9_999)}`,
        };
      case "online":
        return { kind, resourceId: this.#present(), isOnline: this.#random.share() < 0.7 };
      case "add":
        this.#lastId += 1;
        this.#there.push(this.#lastId);
        return { kind };
      case "collection": {
        const members = this.#several(MOST_MEMBERS);
        return { kind, id: COLLECTION, name: "Chaos", members };
      }
      case "remove":
        return { kind, resourceId: this.#removed() };
      default:
        return { kind, resourceId: this.#present() };
    }
  }

  #wish(): Wish {
    const kind = this.#random.pick([
      ...["script", "script", "script", "query", "query", "notify", "notify", "application"],
      ...["notify-collection", "refresh", "properties", "cancel"],
    ] as const);
    this.#marker += 1;
    const marker = `m${this.#marker}`;
    switch (kind) {
      case "cancel":
        return { kind, at: this.#random.share() };
      case "notify-collection":
        return { kind };
      case "refresh":
      case "properties":
        return { kind, resourceId: this.#present(), marker };
      default:
        return {
          ...{ kind, marker, resourceIds: this.#several(MOST_DEVICES) },
          notification: this.#random.pick(NOTIFICATIONS),
          application: this.#random.between(0, APPLICATIONS - 1),
        };
    }
  }

  #several(most: number): number[] {
    const count = this.#random.between(1, most);
    return [...new Set(Array.from({ length: count }, () => this.#anyone()))];
  }

  #anyone(): number {
    const isGone = this.#random.share() < GONE_SHARE && this.#gone.length > 0;
    return isGone ? this.#random.pick(this.#gone) : this.#present();
  }

  #present(): number {
    return this.#random.pick(this.#there);
  }

  #removed(): number {
    const index = this.#random.between(0, this.#there.length - 1);
    const [id = FIRST_RESOURCE_ID] = this.#there.splice(index, 1);
    this.#gone.push(id);
    return id;
  }
}
