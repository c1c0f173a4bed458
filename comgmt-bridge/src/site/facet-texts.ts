import type { Octets } from "./octets.ts";

const COMMA = 0x2c;
const [LIST, LIST_END] = [0x5b, 0x5d];
const [OBJECT, OBJECT_END] = [0x7b, 0x7d];
/** In UTF-8 what is two code units begins with this or more; what sorts behind all such begins with one of the two octets below it. */
const TWO_UNITS = 0xf0;
const BEHIND_TWO_UNITS = 0xee;

/** Where a part of a facet's text is: members of its object, or one of its list. */
interface Part {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  /** Of a list: what it is sorted by, and then by its text. */
  readonly group: number;
  next: Part | undefined;
}

/** The texts of one facet of many records, in parts that come in any order. */
export class FacetTexts {
  readonly #isList: boolean;
  readonly #first: (Part | undefined)[];
  readonly #last: (Part | undefined)[];

  constructor(isList: boolean, records: number) {
    this.#isList = isList;
    this.#first = new Array(records).fill(undefined);
    this.#last = new Array(records).fill(undefined);
  }

  add(record: number, bytes: Uint8Array, from: number, to: number, group: number): void {
    const part: Part = { bytes, from, to, group, next: undefined };
    const last = this.#last[record];
    if (last === undefined) this.#first[record] = part;
    else last.next = part;
    this.#last[record] = part;
  }

  /** Puts the text of a record's facet behind what is there; nothing where it has none. */
  writeTo(out: Octets, record: number): void {
    const first = this.#first[record];
    if (first === undefined) return;
    out.put(this.#isList ? LIST : OBJECT);
    writeParts(out, this.#isList && !isInOrder(first) ? sorted(first) : first);
    out.put(this.#isList ? LIST_END : OBJECT_END);
  }
}

function isInOrder(first: Part): boolean {
  for (let part = first; part.next !== undefined; part = part.next) {
    if (compare(part, part.next) > 0) return false;
  }
  return true;
}

function sorted(first: Part): Part {
  const parts: Part[] = [];
  for (let part: Part | undefined = first; part !== undefined; part = part.next) parts.push(part);
  parts.sort(compare);
  for (const [at, part] of parts.entries()) part.next = parts[at + 1];
  return parts[0] ?? first;
}

/** What has one octet between it and the next has its comma. */
function writeParts(out: Octets, first: Part): void {
  let { bytes, from, to } = first;
  for (let { next } = first; next !== undefined; next = next.next) {
    if (next.from !== to + 1 || next.bytes !== bytes) {
      out.append(bytes, from, to);
      out.put(COMMA);
      bytes = next.bytes;
      from = next.from;
    }
    to = next.to;
  }
  out.append(bytes, from, to);
}

/** By group, and then as two texts compare: by code units. */
function compare(one: Part, other: Part): number {
  if (one.group !== other.group) return one.group - other.group;
  const shorter = Math.min(one.to - one.from, other.to - other.from);
  for (let at = 0; at < shorter; at += 1) {
    const octet = one.bytes[one.from + at] ?? 0;
    const against = other.bytes[other.from + at] ?? 0;
    if (octet !== against) return rank(octet) - rank(against);
  }
  return one.to - one.from - (other.to - other.from);
}

function rank(octet: number): number {
  return octet < BEHIND_TWO_UNITS || octet >= TWO_UNITS ? octet : octet + BEHIND_TWO_UNITS;
}
