import type { InventoryDiffers, RecordKind } from "@isthmus/shared/link/inventory-messages";

/** Own choice: a record that differs after so many digests one behind the other, each of which had it sent again, does not heal. */
const UNHEALED_ROUNDS = 4;
/** It is sent again in the rounds 4, 8, 16, 24, ...: by then what kept it from healing may be mended. */
const AGAIN_EVERY = 8;
/** The control plane may be so many digests behind. */
const ROUNDS_BEHIND = 2;
/** Own limits, of a kind. What is above them is sent again each time. */
const MAX_KEYS = 10_000;
const SHOWN_KEYS = 5;

interface Wanted {
  readonly rounds: number;
  /** The last in which it was wanted. */
  readonly round: number;
}

interface OfKind {
  round: number;
  since: number | undefined;
  readonly wanted: Map<string, Wanted>;
}

/** Records of a kind that differ whatever is sent of them. */
export interface UnhealedDrift {
  readonly kind: RecordKind;
  readonly records: number;
  /** Some of them. */
  readonly keys: readonly string[];
  /** For how many digests the longest of them. */
  readonly rounds: number;
  readonly since: number;
}

type OnDrift = (kind: RecordKind, drift: UnhealedDrift | undefined) => void;

/**
 * Sees a drift that does not heal: two sides that compute a record's digest differently would have it sent after each digest for ever. Records that
 * began to differ since are sent as always.
 *
 * ```
 *   digest ──differs──▶ sent again ──digest, the same──▶ healed
 *      ▲                    │
 *      └────it differs──────┘  from the fourth time on: named in health, and sent in few rounds
 * ```
 */
export class DriftRounds {
  readonly #kinds = new Map<RecordKind, OfKind>();
  readonly #now: () => number;
  readonly #onChange: OnDrift;

  /** `onChange` is told once of a kind that does not heal, and once it has. */
  constructor(now: () => number, onChange: OnDrift) {
    this.#now = now;
    this.#onChange = onChange;
  }

  /** A digest of the kind was told: what is not wanted by those after it has healed. */
  digestTold(kind: RecordKind): void {
    const of = this.#of(kind);
    of.round += 1;
    for (const [key, { round }] of of.wanted) {
      if (round < of.round - ROUNDS_BEHIND) of.wanted.delete(key);
    }
    this.#review(kind, of);
  }

  /** The same without what is left alone this time. */
  without(message: InventoryDiffers): InventoryDiffers {
    const of = this.#of(message.kind);
    const wanted = message.wanted.filter((key) => {
      const known = of.wanted.get(key);
      if (known === undefined && of.wanted.size >= MAX_KEYS) return true;
      const isSameRound = known?.round === of.round;
      const rounds = (known?.rounds ?? 0) + (isSameRound ? 0 : 1);
      of.wanted.set(key, { rounds, round: of.round });
      return rounds <= UNHEALED_ROUNDS || rounds % AGAIN_EVERY === 0;
    });
    this.#review(message.kind, of);
    return { ...message, wanted };
  }

  unhealed(): readonly UnhealedDrift[] {
    return [...this.#kinds].flatMap(([kind, of]) => this.#driftOf(kind, of) ?? []);
  }

  #of(kind: RecordKind): OfKind {
    const known = this.#kinds.get(kind);
    if (known !== undefined) return known;
    const of: OfKind = { round: 0, since: undefined, wanted: new Map() };
    this.#kinds.set(kind, of);
    return of;
  }

  #review(kind: RecordKind, of: OfKind): void {
    const before = of.since;
    const isUnhealed = [...of.wanted.values()].some(isStuck);
    of.since = isUnhealed ? (before ?? this.#now()) : undefined;
    if (isUnhealed !== (before !== undefined)) this.#onChange(kind, this.#driftOf(kind, of));
  }

  #driftOf(kind: RecordKind, { wanted, since }: OfKind): UnhealedDrift | undefined {
    if (since === undefined) return undefined;
    const stuck = [...wanted].filter(([, each]) => isStuck(each));
    const keys = stuck.slice(0, SHOWN_KEYS).map(([key]) => key);
    const rounds = stuck.reduce((most, [, each]) => Math.max(most, each.rounds), 0);
    return { kind, records: stuck.length, keys, rounds, since };
  }
}

function isStuck({ rounds }: Wanted): boolean {
  return rounds >= UNHEALED_ROUNDS;
}

export function driftWords({ kind, records, keys, rounds }: UnhealedDrift): string {
  const more = records > keys.length ? ` and ${records - keys.length} more` : "";
  return `${records} records of kind ${kind} differ from those of the control plane after ${rounds} digests, each of which had them sent again: ${keys.join(", ")}${more}`;
}
