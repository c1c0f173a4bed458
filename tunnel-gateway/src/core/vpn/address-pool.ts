import type { NamedPool, SlotRange } from "./address-pools.ts";
import { FIRST_SLOT } from "./tunnel-slices.ts";
import type { AddressHabit, Place } from "./vpn-ports.ts";

/** What one pool has of one tunnel's slots. Those from `untouched` on have never been given out, but for those that were claimed. */
interface Area {
  /** Undefined: what no pool has. */
  readonly pool: string | undefined;
  readonly tunnel: number;
  readonly ranges: readonly Omit<SlotRange, "tunnel">[];
  readonly capacity: number;
  untouched: number;
  readonly used: Set<number>;
  /** Given back, the one that has been free for longest first. */
  readonly freed: Set<number>;
}

/** How full something is. */
export interface Fill {
  readonly used: number;
  readonly capacity: number;
}

/**
 * The addresses of clients, as slots of the tunnels' slices, each in the pool that the local configuration puts it in, or in
 * none. Whoever comes back gets the address of last time as long as nobody else needed it; a stranger gets one in the least
 * loaded tunnel, one that nobody had before where there is one, else the one that has been free for longest.
 */
export class AddressPool {
  /** By tunnel. */
  readonly #areas: readonly (readonly Area[])[];
  readonly #pools: readonly (string | undefined)[];
  readonly #lastOf = new Map<string, Place>();
  /** Whose last address a slot is, by `idOf`. */
  readonly #habitOf = new Map<string, string>();

  /** `slots` as in `TunnelSlice`; `pools` without an address in common. */
  constructor(
    slices: readonly { readonly slots: number }[],
    pools: readonly Pick<NamedPool, "name" | "slots">[] = [],
  ) {
    this.#pools = [...pools.map(({ name }) => name), undefined];
    this.#areas = slices.map(({ slots }, tunnel) => areasOf(tunnel, slots, pools));
  }

  /** Takes up who had which address last, in the order in which that was, before any is given out. */
  restore(habits: readonly AddressHabit[]): void {
    for (const { key, place } of habits) {
      const area = this.#areaOf(place);
      if (!area || area.used.has(place.slot)) continue;
      this.#remember(key, place);
      area.freed.add(place.slot);
    }
  }

  get capacity(): number {
    return fillOf(this.#areas.flat()).capacity;
  }

  get used(): number {
    return fillOf(this.#areas.flat()).used;
  }

  /** How full each tunnel's slice is, in their order. */
  ofTunnels(): readonly Fill[] {
    return this.#areas.map(fillOf);
  }

  /** How full each pool is, in their order, and last what is in none. */
  ofPools(): readonly (Fill & { readonly pool: string | undefined })[] {
    return this.#pools.map((pool) => ({ pool, ...fillOf(this.#areasIn(pool)) }));
  }

  /** In which pool an address is; undefined where in none. */
  poolOf(place: Place): string | undefined {
    return this.#areaOf(place)?.pool;
  }

  /** An address of a pool for somebody; undefined when there is none left. */
  take(key: string, pool?: string): Place | undefined {
    const last = this.#lastOf.get(key);
    const isStillGood = last && this.#isFree(last) && this.poolOf(last) === pool;
    const place = isStillGood ? last : this.#fresh(pool);
    if (!place) return undefined;
    this.#use(place);
    this.#remember(key, place);
    return place;
  }

  /** Takes one certain address; false where it is not there or not free. */
  claim(place: Place, key: string): boolean {
    if (!this.#isFree(place)) return false;
    this.#use(place);
    this.#remember(key, place);
    return true;
  }

  release(place: Place): void {
    const area = this.#areaOf(place);
    if (area?.used.delete(place.slot)) area.freed.add(place.slot);
  }

  #fresh(pool: string | undefined): Place | undefined {
    const withRoom = this.#areasIn(pool).filter(({ used, capacity }) => used.size < capacity);
    const [first, ...others] = withRoom;
    if (!first) return undefined;
    const load = ({ tunnel }: Area) => this.#loadOf(tunnel);
    const area = others.reduce((least, one) => (load(one) < load(least) ? one : least), first);
    const slot = nextUntouched(area) ?? area.freed.values().next().value;
    return slot === undefined ? undefined : { tunnel: area.tunnel, slot };
  }

  /** Of all pools: what counts is how much a packet thread has to do. */
  #loadOf(tunnel: number): number {
    return fillOf(this.#areas[tunnel] ?? []).used;
  }

  #use(place: Place): void {
    const area = this.#areaOf(place);
    area?.freed.delete(place.slot);
    area?.used.add(place.slot);
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

  #areasIn(pool: string | undefined): Area[] {
    return this.#areas.flat().filter((area) => area.pool === pool);
  }

  #areaOf({ tunnel, slot }: Place): Area | undefined {
    return this.#areas[tunnel]?.find((area) => isIn(area, slot));
  }

  #isFree(place: Place): boolean {
    return this.#areaOf(place)?.used.has(place.slot) === false;
  }
}

/** What each pool has of a slice, and what is left. The last slot is IPv4's broadcast address. */
function areasOf(
  tunnel: number,
  slots: number,
  pools: readonly Pick<NamedPool, "name" | "slots">[],
): Area[] {
  const within = ({ first, end }: Omit<SlotRange, "tunnel">) => {
    const range = { first: Math.max(first, FIRST_SLOT), end: Math.min(end, slots - 1) };
    return range.first < range.end ? [range] : [];
  };
  const named = pools.map(({ name, slots: all }) => ({
    pool: name,
    ranges: all.filter((range) => range.tunnel === tunnel).flatMap(within),
  }));
  const taken = named.flatMap(({ ranges }) => ranges).toSorted((a, b) => a.first - b.first);
  const ends = [FIRST_SLOT, ...taken.map(({ end }) => end)];
  const starts = [...taken.map(({ first }) => first), slots - 1];
  const left = ends.flatMap((first, at) => within({ first, end: starts[at] ?? first }));
  return [...named, { pool: undefined, ranges: left }].map(({ pool, ranges }) => ({
    pool,
    tunnel,
    ranges: ranges.toSorted((a, b) => a.first - b.first),
    capacity: ranges.reduce((sum, { first, end }) => sum + end - first, 0),
    untouched: 0,
    used: new Set(),
    freed: new Set(),
  }));
}

function isIn({ ranges }: Area, slot: number): boolean {
  return ranges.some(({ first, end }) => slot >= first && slot < end);
}

function fillOf(areas: readonly Area[]): Fill {
  return {
    used: areas.reduce((sum, { used }) => sum + used.size, 0),
    capacity: areas.reduce((sum, { capacity }) => sum + capacity, 0),
  };
}

function nextUntouched(area: Area): number | undefined {
  for (const { first, end } of area.ranges) {
    for (let slot = Math.max(first, area.untouched); slot < end; slot += 1) {
      area.untouched = slot;
      if (!area.used.has(slot) && !area.freed.has(slot)) return slot;
    }
    // Ranges are in order: what lies before the next is done with.
    area.untouched = Math.max(area.untouched, end);
  }
  return undefined;
}

function idOf({ tunnel, slot }: Place): string {
  return `${tunnel}/${slot}`;
}
