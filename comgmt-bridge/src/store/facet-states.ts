import { digestOfLines, VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";

/**
 * What is known of a record's facets, packed into the text of one column: for each facet, in the order of its code,
 *
 *     code (3: number of its name, base 36) | state (1) | hash (16)
 *
 * so that rows stay small, and comparing two readings of a record is comparing slices.
 */

/** Told, and the control plane has it. */
export const TOLD = ".";
/** Told, and absent from the last reading. */
export const ABSENT = "?";
/** Told, but the control plane lacks it or has another: it is told again when it is next read. */
export const WANTED = "u";
/** Too large or too deep: never told, or told to be gone. */
export const REFUSED = "x";

export const CODE_LENGTH = 3;
export const STATE_LENGTH = 20;
const HASH_AT = CODE_LENGTH + 1;
/** Own limit, far above the classes of a site; the code has room for 46,655. */
export const MAX_FACET_NAMES = 10_000;

export function facetCode(id: number): string {
  return id.toString(36).padStart(CODE_LENGTH, "0");
}

export function packFacet(code: string, state: string, hash: string): string {
  return code + state + hash;
}

export interface FacetState {
  readonly code: string;
  readonly state: string;
  readonly hash: string;
}

export function facetAt(packed: string, at: number): FacetState {
  return {
    code: packed.slice(at, at + CODE_LENGTH),
    state: packed.charAt(at + CODE_LENGTH),
    hash: packed.slice(at + HASH_AT, at + STATE_LENGTH),
  };
}

/** Digests of records as the control plane has them once it was told all that is packed of them. */
export class PackedDigests {
  readonly #nameOf: (code: string) => string;
  /** Nearly all records of a kind have the same facets: each one's code, and those that count in the order of their names. */
  #facets: readonly { readonly code: string; readonly isRefused: boolean }[] = [];
  #lines: readonly { readonly at: number; readonly head: string }[] = [];

  constructor(nameOf: (code: string) => string) {
    this.#nameOf = nameOf;
  }

  of(key: string, packed: string): string {
    if (!this.#areThoseOf(packed)) this.#take(packed);
    const lines = this.#lines.map(
      ({ at, head }) => head + packed.slice(at + HASH_AT, at + STATE_LENGTH),
    );
    return digestOfLines(key, lines);
  }

  #areThoseOf(packed: string): boolean {
    if (packed.length !== this.#facets.length * STATE_LENGTH) return false;
    return this.#facets.every(({ code, isRefused }, index) => {
      const at = index * STATE_LENGTH;
      return packed.startsWith(code, at) && isRefusedAt(packed, at) === isRefused;
    });
  }

  #take(packed: string): void {
    const facets = [];
    const named = [];
    for (let at = 0; at < packed.length; at += STATE_LENGTH) {
      const code = packed.slice(at, at + CODE_LENGTH);
      const isRefused = isRefusedAt(packed, at);
      facets.push({ code, isRefused });
      const name = this.#nameOf(code);
      if (!isRefused && name !== VOLATILE_FACET) named.push({ at, name });
    }
    this.#facets = facets;
    this.#lines = named
      .sort((one, other) => (one.name < other.name ? -1 : 1))
      .map(({ at, name }) => ({ at, head: `${name}:` }));
  }
}

function isRefusedAt(packed: string, at: number): boolean {
  return packed[at + CODE_LENGTH] === REFUSED;
}

/** All that was told is to be told again. */
export function withFacetsWanted(packed: string): string {
  let wanted = "";
  for (let at = 0; at < packed.length; at += STATE_LENGTH) {
    const { code, state, hash } = facetAt(packed, at);
    wanted += packFacet(code, state === TOLD ? WANTED : state, hash);
  }
  return wanted;
}
