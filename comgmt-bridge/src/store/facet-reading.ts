import { facetHash } from "@isthmus/shared/link/inventory-digest";
import {
  ABSENT,
  CODE_LENGTH,
  facetAt,
  packFacet,
  REFUSED,
  STATE_LENGTH,
  TOLD,
  WANTED,
} from "./facet-states.ts";
import { facetRefusal } from "./refusals.ts";

/** Pages of these come short now and then, so one absence says nothing. */
const CLASS_PREFIX = "SMS_G_System_";

/** A facet that was asked for. */
export interface AskedFacet {
  readonly name: string;
  readonly code: string;
  /** Its place among the facets that were asked for. */
  readonly at: number;
  readonly isClass: boolean;
  /** `"name":{"hash":"` */
  readonly head: string;
}

/** What a facet has for a hash that has no value any more: that of `null`. */
const HASH_OF_NULL = facetHash("null");

export function askedFacet(name: string, code: string, at: number): AskedFacet {
  const head = `${JSON.stringify(name)}:{"hash":"`;
  const isClass = name.startsWith(CLASS_PREFIX);
  return { name, code, at, isClass, head };
}

/** Member of a record's facets that says that one is gone. */
function goneMember(name: string): string {
  return `${JSON.stringify(name)}:{"hash":"${HASH_OF_NULL}","value":null}`;
}

/** How a reading of a record is to be judged. */
export interface ReadingRules {
  /** In the order of their codes. */
  readonly asked: readonly AskedFacet[];
  readonly areAllFacets: boolean;
  readonly areShallow: boolean;
  readonly nameOf: (code: string) => string;
}

/** What a reading of a record comes to. */
export interface ComparedRecord {
  /** As facet-states.ts packs them. */
  readonly packed: string;
  /** Members of the record's object of facets in an entry: what is told. */
  readonly told: readonly string[];
  readonly toldCharacters: number;
  /** Whether what is told is all that the record has. */
  readonly isWhole: boolean;
  /** Whether facets are absent for the first time: the next reading decides. */
  readonly isOpen: boolean;
  readonly refused: readonly RefusedFacet[];
}

interface RefusedFacet {
  readonly name: string;
  readonly code: NonNullable<ReturnType<typeof facetRefusal>>;
}

/**
 * Compares a reading of a record with what is known of it. One that is new or wanted is told with every facet of the reading if that covers
 * all that there is, else with those that are new or to be told again.
 */
export function compareRecord(
  /** The text of each facet that was asked for. */
  texts: readonly (string | undefined)[],
  known: string,
  isWanted: boolean,
  rules: ReadingRules,
): ComparedRecord {
  const comparison = new Comparison(known, isWanted && covers(rules, known), rules);
  for (const asked of rules.asked) comparison.read(asked, texts[asked.at]);
  return comparison.end();
}

/** Whether every facet that is known was asked for. Where none is, nobody can say what else there may be. */
function covers({ asked, areAllFacets }: ReadingRules, known: string): boolean {
  if (areAllFacets || known === "") return areAllFacets;
  const codes = new Set(asked.map(({ code }) => code));
  for (let at = 0; at < known.length; at += STATE_LENGTH) {
    if (!codes.has(known.slice(at, at + CODE_LENGTH))) return false;
  }
  return true;
}

class Comparison {
  readonly #known: string;
  readonly #tellsAll: boolean;
  readonly #rules: ReadingRules;
  readonly #told: string[] = [];
  readonly #refused: RefusedFacet[] = [];
  #packed = "";
  #toldCharacters = 0;
  #at = 0;
  #isOpen = false;

  constructor(known: string, tellsAll: boolean, rules: ReadingRules) {
    this.#known = known;
    this.#tellsAll = tellsAll;
    this.#rules = rules;
  }

  read(asked: AskedFacet, text: string | undefined): void {
    this.#passOthers(asked.code);
    const known = this.#takeKnown(asked.code);
    if (text === undefined || text === "null") this.#readAbsent(asked, known);
    else this.#readText(asked, text, known);
  }

  end(): ComparedRecord {
    this.#passOthers(undefined);
    return {
      packed: this.#packed,
      told: this.#told,
      toldCharacters: this.#toldCharacters,
      isWhole: this.#tellsAll && !this.#isOpen,
      isOpen: this.#isOpen,
      refused: this.#refused,
    };
  }

  /** Facets that were not asked for stay as they are, unless those asked for are all there are. */
  #passOthers(before: string | undefined): void {
    while (this.#at < this.#known.length) {
      const code = this.#known.slice(this.#at, this.#at + CODE_LENGTH);
      if (before !== undefined && code >= before) return;
      if (this.#rules.areAllFacets) {
        if (facetAt(this.#known, this.#at).state !== REFUSED) {
          this.#tell(goneMember(this.#rules.nameOf(code)));
        }
      } else {
        this.#packed += this.#known.slice(this.#at, this.#at + STATE_LENGTH);
      }
      this.#at += STATE_LENGTH;
    }
  }

  #takeKnown(code: string): string | undefined {
    if (!this.#known.startsWith(code, this.#at) || this.#at >= this.#known.length) return undefined;
    const known = this.#known.slice(this.#at, this.#at + STATE_LENGTH);
    this.#at += STATE_LENGTH;
    return known;
  }

  #readText(asked: AskedFacet, text: string, known: string | undefined): void {
    const hash = facetHash(text);
    const before = known === undefined ? undefined : facetAt(known, 0);
    const isSame = before?.hash === hash;
    if (isSame && before.state === REFUSED) {
      this.#packed += known;
      return;
    }
    if (isSame && before.state !== WANTED && !this.#tellsAll) {
      this.#packed += packFacet(asked.code, TOLD, hash);
      return;
    }
    const refusal = isSame ? undefined : facetRefusal(text, this.#rules.areShallow);
    if (refusal === undefined) {
      this.#packed += packFacet(asked.code, TOLD, hash);
      this.#tell(`${asked.head}${hash}","value":${text}}`);
      return;
    }
    this.#packed += packFacet(asked.code, REFUSED, hash);
    this.#refused.push({ name: asked.name, code: refusal });
    if (before !== undefined && before.state !== REFUSED) this.#tell(goneMember(asked.name));
  }

  #readAbsent(asked: AskedFacet, known: string | undefined): void {
    if (known === undefined) return;
    const { state, hash } = facetAt(known, 0);
    if (state === REFUSED) return;
    if (asked.isClass && state !== ABSENT) {
      this.#packed += packFacet(asked.code, ABSENT, hash);
      this.#isOpen = true;
      return;
    }
    this.#tell(goneMember(asked.name));
  }

  #tell(member: string): void {
    this.#told.push(member);
    this.#toldCharacters += member.length + 1;
  }
}
