import { createHash } from "node:crypto";
import type { Clock } from "@isthmus/shared/clock";

/** Where somebody has logged in: an address as it is scored, or a certificate. */
export interface Place {
  readonly account: string;
  readonly place: string;
}

export interface KnownPlace extends Place {
  /** ms since the epoch; of the last login there, give or take a day. */
  readonly seenAt: number;
}

export interface PlaceChanges {
  readonly put: readonly KnownPlace[];
  readonly drop: readonly Place[];
}

/** From where somebody is logging in. */
export interface Whence {
  /** `scoredAddress` of it. */
  readonly address: string;
  /** DER of the certificate that the client has proved to hold. */
  readonly certificate: Uint8Array | undefined;
}

/** Own limits: only who can log in takes room here, and who has not for longest goes first. */
export const MAX_KNOWN_ACCOUNTS = 65_536;
export const MAX_PLACES = 8;
/** Own choices: how long a place is known after a login there, and how old a note of it may become before it is written anew. */
const KNOWN_FOR_MS = 30 * 86_400_000;
const NOTED_EVERY_MS = 86_400_000;

/**
 * The addresses and certificates from which accounts have lately logged in. Guesses there are counted on their own, so that
 * somebody who guesses elsewhere does not lock out the user whom the account belongs to.
 */
export class KnownPlaces {
  readonly #clock: Clock;
  /** By account and place, who logged in last at the end. */
  readonly #places = new Map<string, Map<string, number>>();
  readonly #unsaved = new Map<string, Place>();

  constructor(options: { readonly clock: Clock }) {
    this.#clock = options.clock;
  }

  /** What guesses at an account are counted by: those from each known place on their own, all others together. */
  scoredBy(account: string, whence: Whence): string {
    const place = placesOf(whence).find((one) => this.#isKnown(account, one));
    return place === undefined ? account : `${account}${AT}${place}`;
  }

  /** Somebody has logged in. */
  learn(account: string, whence: Whence): void {
    const now = this.#clock.now();
    const places = this.#places.get(account) ?? new Map<string, number>();
    this.#places.delete(account);
    this.#places.set(account, places);
    for (const place of placesOf(whence)) {
      const seenAt = places.get(place);
      const isFresh = seenAt !== undefined && seenAt <= now && now - seenAt < NOTED_EVERY_MS;
      places.delete(place);
      places.set(place, isFresh ? seenAt : now);
      if (!isFresh) this.#changed({ account, place });
    }
    this.#makeRoom(account, places);
  }

  restore(kept: readonly KnownPlace[]): void {
    const now = this.#clock.now();
    for (const { account, place, seenAt } of kept.toSorted((a, b) => a.seenAt - b.seenAt)) {
      const places = this.#places.get(account) ?? new Map<string, number>();
      if (now - seenAt < KNOWN_FOR_MS) this.#places.set(account, places.set(place, seenAt));
      else this.#changed({ account, place });
    }
  }

  /** What the store does not know yet. */
  takeChanges(): PlaceChanges {
    const put: KnownPlace[] = [];
    const drop: Place[] = [];
    for (const one of this.#unsaved.values()) {
      const seenAt = this.#places.get(one.account)?.get(one.place);
      if (seenAt === undefined) drop.push(one);
      else put.push({ ...one, seenAt });
    }
    this.#unsaved.clear();
    return { put, drop };
  }

  /** The store has not taken them. */
  giveBack({ put, drop }: PlaceChanges): void {
    for (const { account, place } of [...put, ...drop]) this.#changed({ account, place });
  }

  #isKnown(account: string, place: string): boolean {
    const seenAt = this.#places.get(account)?.get(place);
    return seenAt !== undefined && this.#clock.now() - seenAt < KNOWN_FOR_MS;
  }

  #makeRoom(account: string, places: Map<string, number>): void {
    for (const place of places.keys()) {
      if (places.size <= MAX_PLACES) break;
      places.delete(place);
      this.#changed({ account, place });
    }
    const [oldest] = this.#places;
    if (this.#places.size <= MAX_KNOWN_ACCOUNTS || !oldest) return;
    const [former, theirs] = oldest;
    this.#places.delete(former);
    for (const place of theirs.keys()) this.#changed({ account: former, place });
  }

  #changed(place: Place): void {
    this.#unsaved.set(`${place.account}${AT}${place.place}`, place);
  }
}

/** Between account and place; no name that is scored has a space, so that nobody can name a place of another. */
export const AT = " at ";

/** The certificate first: it goes where its holder goes. */
function placesOf({ address, certificate }: Whence): string[] {
  if (!certificate) return [address];
  const hash = createHash("sha256").update(certificate).digest("hex");
  return [`certificate ${hash.slice(0, 32)}`, address];
}
