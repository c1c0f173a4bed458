import { facetHash } from "@isthmus/shared/link/inventory-digest";
import type { InventoryRecord } from "@isthmus/shared/link/inventory-messages";
import type { SentRecords } from "./inventory-checks.ts";

/** Records as an entry tells them, with the text of each value. */

/** A facet that was told; without text it is gone. */
export interface ToldFacet {
  readonly name: string;
  readonly hash: string;
  readonly text: string | undefined;
  readonly value: unknown;
  /** Whether the hash is that of the text. */
  readonly isTrue: boolean;
}

/** A facet whose hash and text were found to be right without the value, which is made once somebody asks for it. */
export class WrittenFacet implements ToldFacet {
  readonly name: string;
  readonly hash: string;
  readonly text: string;
  readonly isTrue = true;
  #value: unknown;

  constructor(name: string, hash: string, text: string) {
    this.name = name;
    this.hash = hash;
    this.text = text;
  }

  get value(): unknown {
    this.#value ??= JSON.parse(this.text);
    return this.#value;
  }
}

export interface ToldRecord extends Omit<InventoryRecord, "facets"> {
  readonly facets: readonly ToldFacet[];
}

/** An entry of records that was checked. */
export interface RecordsEntry extends Omit<SentRecords, "records"> {
  readonly records: readonly ToldRecord[];
}

/** A facet of this value; `written` is the text that it was read from, where that is at hand. */
export function toldFacet(
  { name, hash, value }: Pick<ToldFacet, "name" | "hash" | "value">,
  written?: string,
): ToldFacet {
  if (value === null) return { name, hash, text: undefined, value, isTrue: true };
  if (written !== undefined && facetHash(written) === hash) {
    return { name, hash, text: written, value, isTrue: true };
  }
  const text = JSON.stringify(value);
  return { name, hash, text, value, isTrue: facetHash(text) === hash };
}

/** The entry with the texts of its values. */
export function toldRecords(entry: SentRecords): RecordsEntry {
  const { type, source, lease, records } = entry;
  return { type, source, lease, records: records.map(toldRecord) };
}

function toldRecord({ kind, key, revision, at, isWhole, facets }: InventoryRecord): ToldRecord {
  const told = Object.entries(facets).map(([name, facet]) =>
    toldFacet({ name, hash: facet.hash, value: facet.value }),
  );
  return { kind, key, revision, at, isWhole, facets: told };
}

/** The record as it was sent. */
export function sentRecord({ facets, ...head }: ToldRecord): InventoryRecord {
  const sent = facets.map(({ name, hash, value }) => [name, { hash, value }]);
  return { ...head, facets: Object.fromEntries(sent) };
}
