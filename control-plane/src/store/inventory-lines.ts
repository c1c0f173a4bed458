import { facetHash, VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import { MAX_FACETS, MAX_RECORDS_IN_ENTRY } from "@isthmus/shared/link/inventory-messages";
import {
  isFacetHash,
  isFacetName,
  isFacetValue,
  isRecordHead,
  isSourceHead,
  type RecordHead,
} from "./inventory-checks.ts";
import { COLLECTIONS_FACET } from "./inventory-facets.ts";
import { isPlainJson } from "./plain-json.ts";
import {
  type RecordsEntry,
  type ToldFacet,
  type ToldRecord,
  toldFacet,
  WrittenFacet,
} from "./told-records.ts";

/**
 * Entries of records as bridges write them, read piece by piece, so that the text of a value need not be made again to be hashed and stored:
 *
 *     {"type":"records","source":"CM1","lease":1,"records":[R,R,...]}
 *     R = {"kind":"device","key":"1","revision":1,"at":1,"isWhole":true,"facets":{F,F,...}}
 *     F = "identity":{"hash":"<16 hex>","value":V}
 *
 * Where a V ends is guessed from what follows it. That is safe: all else is compared literally, and each V must be one value from its first
 * character to its last, so that these are the pieces which JSON.parse would find in the whole line. A line that is written in another
 * way, or whose values look like what is guessed by, is left to JSON.parse.
 */

const ENTRY =
  /^\{"type":"records","source":"([A-Za-z0-9._-]+)","lease":(0|[1-9][0-9]{0,15}),"records":\[/;
/** Keys are written without escapes; others are left to JSON.parse. */
const RECORD =
  /\{"kind":"([a-z-]+)","key":"([ !#-[\]-~]+)","revision":(0|[1-9][0-9]{0,15}),"at":(0|[1-9][0-9]{0,15}),"isWhole":(true|false),"facets":\{/y;
/** What follows the value of a record's last facet. Its first brace ends the facet. */
const NEXT_RECORD = '}}},{"kind":"';
const END = "}}}]}";
const QUOTE = 0x22;
const NAME_END = '":';
const HASH = '{"hash":"';
const HASH_DIGITS = 16;
const VALUE = '","value":';
/** Facets that columns and memberships are taken from; of others nobody asks for the value before they change. */
const READ_AT_ONCE = new Set(["identity", "stable", VOLATILE_FACET, COLLECTIONS_FACET]);

/** The entry that a line holds; undefined where the line is to be read by JSON.parse. */
export function readRecordsLine(line: string): RecordsEntry | undefined {
  const [head, source = "", leaseText] = ENTRY.exec(line) ?? [];
  const lease = Number(leaseText);
  if (head === undefined || !line.endsWith(END) || !isSourceHead(source, lease)) return undefined;
  const records: ToldRecord[] = [];
  const place: Place = { line, at: head.length, brace: line.indexOf(HASH, head.length) };
  while (place.at < line.length) {
    const record = records.length < MAX_RECORDS_IN_ENTRY ? readRecord(place) : undefined;
    if (record === undefined) return undefined;
    records.push(record);
  }
  return { type: "records", source, lease, records };
}

/** How far a line was read. */
interface Place {
  readonly line: string;
  at: number;
  /** Where the next brace is that begins a facet; -1 where there is none. */
  brace: number;
}

function readRecord(place: Place): ToldRecord | undefined {
  RECORD.lastIndex = place.at;
  const [text, kind, key, revision, at, isWhole] = RECORD.exec(place.line) ?? [];
  if (text === undefined) return undefined;
  const head = {
    ...{ kind, key, revision: Number(revision), at: Number(at), isWhole: isWhole === "true" },
  };
  if (!isRecordHead(head)) return undefined;
  place.at += text.length;
  return readFacets(place, head);
}

function readFacets(place: Place, head: RecordHead): ToldRecord | undefined {
  const facets: ToldFacet[] = [];
  for (let isLast = false; !isLast; ) {
    const named = readName(place);
    // Of two facets of one name JSON.parse takes the last.
    const isFurther = named !== undefined && !facets.some(({ name }) => name === named.name);
    if (!isFurther || facets.length === MAX_FACETS) return undefined;
    place.brace = place.line.indexOf(HASH, named.valueAt);
    const { end, next } = endOfValue(place, named.valueAt);
    if (end <= named.valueAt) return undefined;
    const facet = readFacet(named, place.line.slice(named.valueAt, end));
    if (facet === undefined) return undefined;
    facets.push(facet);
    isLast = next !== end + 2;
    place.at = next;
  }
  const { kind, key, revision, at, isWhole } = head;
  return { kind, key, revision, at, isWhole, facets };
}

interface Named {
  readonly name: string;
  readonly hash: string;
  readonly valueAt: number;
}

/** Reads `"<name>":{"hash":"<hash>","value":`; the brace was found before. */
function readName({ line, at, brace }: Place): Named | undefined {
  const hashAt = brace + HASH.length;
  const hashEnd = hashAt + HASH_DIGITS;
  const isWritten =
    brace > at &&
    line.startsWith('"', at) &&
    line.startsWith(NAME_END, brace - NAME_END.length) &&
    line.startsWith(VALUE, hashEnd);
  if (!isWritten) return undefined;
  return {
    name: line.slice(at + 1, brace - NAME_END.length),
    hash: line.slice(hashAt, hashEnd),
    valueAt: hashEnd + VALUE.length,
  };
}

/** Where a value ends, and where the next facet's name, the next record or the end of the line is; an end of -1 for nowhere. */
function endOfValue(
  { line, brace }: Place,
  from: number,
): { readonly end: number; readonly next: number } {
  if (brace === -1) return { end: line.length - END.length, next: line.length };
  let name = brace - NAME_END.length - 1;
  while (name > from && line.charCodeAt(name) !== QUOTE) name -= 1;
  if (name - 2 > from && line.startsWith("},", name - 2)) return { end: name - 2, next: name };
  const end = line.lastIndexOf(NEXT_RECORD, brace);
  return { end: end > from ? end : -1, next: end + 4 };
}

function readFacet({ name, hash }: Named, text: string): ToldFacet | undefined {
  try {
    if (!READ_AT_ONCE.has(name) && text !== "null" && isPlainJson(text)) {
      if (!isFacetName(name)) return undefined;
      if (facetHash(text) === hash) return new WrittenFacet(name, hash, text);
    }
    const value: unknown = JSON.parse(text);
    if (!isFacetName(name) || !isFacetValue(value)) return undefined;
    const facet = toldFacet({ name, hash, value }, text);
    // A hash that was found to be one need not be looked at.
    const isHash = (facet.isTrue && facet.text !== undefined) || isFacetHash(hash);
    return isHash ? facet : undefined;
  } catch {
    return undefined;
  }
}
