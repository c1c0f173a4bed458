import type { KnownPlace, KnownPlaces, PlaceChanges } from "./known-places.ts";
import { type KeptScore, type ScoreChanges, type Scores, scoredAddress } from "./scores.ts";
import type { UserNames } from "./user-names.ts";
import type { SessionRecord } from "./vpn-ports.ts";

/** Keeps scores and known places across restarts. */
export interface ScoreStore {
  load(): Promise<{
    readonly scores: readonly KeptScore[];
    readonly places: readonly KnownPlace[];
  }>;
  save(changes: { readonly scores: ScoreChanges; readonly places: PlaceChanges }): Promise<void>;
}

export interface ScoreMemoryOptions {
  readonly scores: Scores;
  readonly places: KnownPlaces;
  readonly names: UserNames;
  readonly store: ScoreStore;
  readonly onFailure: (error: unknown) => void;
}

/** Own choices: how seldom changes are written, in seconds, and how many at once, so that a flood is no flood of writes. */
const SAVED_EVERY = 10;
export const MAX_SCORES_PER_SAVE = 500;

/** Writes what has changed of scores and known places, now and then, and all at once. */
export class ScoreMemory {
  readonly #options: ScoreMemoryOptions;
  #last: Promise<void> = Promise.resolve();
  #isSaving = false;
  #seconds = 0;

  constructor(options: ScoreMemoryOptions) {
    this.#options = options;
  }

  /** Whose session there is was where it came from last: its login may be younger than what was saved. */
  async load(sessions: readonly SessionRecord[]): Promise<void> {
    const { scores, places, names, store } = this.#options;
    const kept = await store.load();
    scores.restore(kept.scores);
    places.restore(kept.places);
    for (const { userName, remoteAddress } of sessions) {
      const address = scoredAddress(remoteAddress);
      places.learn(names.scoredName(userName), { address, certificate: undefined });
    }
  }

  /** Every second. */
  sweep(): void {
    this.#seconds += 1;
    if (this.#seconds < SAVED_EVERY || this.#isSaving) return;
    this.#seconds = 0;
    this.#isSaving = true;
    this.#save(MAX_SCORES_PER_SAVE)
      .catch(this.#options.onFailure)
      .finally(() => {
        this.#isSaving = false;
      });
  }

  /** Writes all that has changed until now; rejects where the store does. */
  save(): Promise<void> {
    return this.#save(Number.POSITIVE_INFINITY);
  }

  /** One after the other: what was forgiven while a ban was on its way to the store is to leave it again. */
  #save(atMost: number): Promise<void> {
    const saved = this.#last.then(() => this.#write(atMost));
    this.#last = saved.catch(() => undefined);
    return saved;
  }

  async #write(atMost: number): Promise<void> {
    const { scores, places, store } = this.#options;
    const changes = { scores: scores.takeChanges(atMost), places: places.takeChanges() };
    const all = [changes.scores, changes.places].flatMap(({ put, drop }) => [...put, ...drop]);
    if (all.length === 0) return;
    try {
      await store.save(changes);
    } catch (error) {
      scores.giveBack(changes.scores);
      places.giveBack(changes.places);
      throw error;
    }
  }
}
