import { FIRST_SLOT } from "./tunnel-slices.ts";
import type { AddressHabit, Place } from "./vpn-ports.ts";

/** The slots of one tunnel. Those above `untouched` have never been given out, but for those that were claimed. */
interface Slice {
  readonly end: number;
  untouched: number;
  readonly used: Set<number>;
  /** Given back, the one that has been free for longest first. */
  readonly freed: Set<number>;
}

/**
 * The addresses of clients, as slots of the tunnels' slices. Whoever comes back gets the address of last time as long as nobody
 * else needed it; a stranger gets one in the least loaded tunnel, one that nobody had before where there is one, else the one
 * that has been free for longest.
 */
export class AddressPool {
  readonly #slices: readonly Slice[];
  readonly #lastOf = new Map<string, Place>();
  /** Whose last address a slot is, by `idOf`. */
  readonly #habitOf = new Map<string, string>();

  /** `slots` as in `TunnelSlice`. */
  constructor(slices: readonly { readonly slots: number }[]) {
    this.#slices = slices.map(({ slots }) => ({
      // The last slot is IPv4's broadcast address.
      end: slots - 1,
      untouched: FIRST_SLOT,
      used: new Set(),
      freed: new Set(),
    }));
  }

  /** Takes up who had which address last, in the order in which that was, before any is given out. */
  restore(habits: readonly AddressHabit[]): void {
    for (const { key, place } of habits) {
      if (!this.#has(place) || !this.#isFree(place)) continue;
      this.#remember(key, place);
      this.#slices[place.tunnel]?.freed.add(place.slot);
    }
  }

  get capacity(): number {
    return this.ofTunnels().reduce((sum, { capacity }) => sum + capacity, 0);
  }

  get used(): number {
    return this.#slices.reduce((sum, { used }) => sum + used.size, 0);
  }

  /** How full each tunnel's slice is, in their order. */
  ofTunnels(): readonly { readonly used: number; readonly capacity: number }[] {
    return this.#slices.map(({ end, used }) => ({
      used: used.size,
      capacity: Math.max(0, end - FIRST_SLOT),
    }));
  }

  /** An address for somebody; undefined when there is none left. */
  take(key: string): Place | undefined {
    const last = this.#lastOf.get(key);
    const place = last && this.#isFree(last) ? last : this.#fresh();
    if (!place) return undefined;
    this.#use(place);
    this.#remember(key, place);
    return place;
  }

  /** Takes one certain address; false where it is not there or not free. */
  claim(place: Place, key: string): boolean {
    if (!this.#has(place) || !this.#isFree(place)) return false;
    this.#use(place);
    this.#remember(key, place);
    return true;
  }

  release({ tunnel, slot }: Place): void {
    const slice = this.#slices[tunnel];
    if (slice?.used.delete(slot)) slice.freed.add(slot);
  }

  #fresh(): Place | undefined {
    const withRoom = [...this.#slices.entries()].filter(
      ([, { end, used }]) => used.size < end - FIRST_SLOT,
    );
    const [first, ...others] = withRoom;
    if (!first) return undefined;
    const [tunnel, slice] = others.reduce(
      (least, one) => (one[1].used.size < least[1].used.size ? one : least),
      first,
    );
    const slot = nextUntouched(slice) ?? slice.freed.values().next().value;
    return slot === undefined ? undefined : { tunnel, slot };
  }

  #use({ tunnel, slot }: Place): void {
    const slice = this.#slices[tunnel];
    slice?.freed.delete(slot);
    slice?.used.add(slot);
  }

  #remember(key: string, place: Place): void {
    const id = idOf(place);
    const former = this.#habitOf.get(id);
    if (former !== undefined && former !== key) this.#lastOf.delete(former);
    const left = this.#lastOf.get(key);
    if (left && idOf(left) !== id) this.#habitOf.delete(idOf(left));
    this.#lastOf.set(key, place);
    this.#habitOf.set(id, key);
  }

  #has({ tunnel, slot }: Place): boolean {
    const slice = this.#slices[tunnel];
    return slice !== undefined && slot >= FIRST_SLOT && slot < slice.end;
  }

  #isFree({ tunnel, slot }: Place): boolean {
    return this.#slices[tunnel]?.used.has(slot) === false;
  }
}

function nextUntouched(slice: Slice): number | undefined {
  while (slice.untouched < slice.end) {
    const slot = slice.untouched;
    if (!slice.used.has(slot) && !slice.freed.has(slot)) return slot;
    slice.untouched += 1;
  }
  return undefined;
}

function idOf({ tunnel, slot }: Place): string {
  return `${tunnel}/${slot}`;
}
