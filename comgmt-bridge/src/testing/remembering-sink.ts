import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { ReadRecord } from "../core/inventory-state.ts";
import type { PackedRecords } from "../core/packed-records.ts";
import type { InventorySink } from "../core/ports.ts";
import { recordsOf } from "../store/record-reading.ts";

type Facets = Readonly<Record<string, unknown>>;

/** A sink in memory: the records that a source has told, and what it wrote down for its next run. */
export interface RememberingSink extends InventorySink {
  readonly cursors: Map<string, string>;
  readonly scans: { readonly kind: RecordKind; readonly missing: number }[];
  /** Of each call of `applyChanges`. */
  readonly rounds: { readonly kind: RecordKind; readonly records: number; readonly gone: number }[];
  records(kind: RecordKind): ReadonlyMap<string, Facets>;
  /** The facet of the one record in which it has this value. */
  find(kind: RecordKind, facet: string, property: string, value: unknown): Found | undefined;
}

interface Found {
  readonly key: string;
  readonly facets: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** `sink` is one of before, whose memory goes on. Records missing from a range go at once, unlike in the store. */
export function rememberingSink(before?: RememberingSink): RememberingSink {
  const cursors = new Map(before?.cursors);
  const kinds = new Map<RecordKind, Map<string, Facets>>();
  const scans: RememberingSink["scans"] = [];
  const rounds: RememberingSink["rounds"] = [];
  const ofKind = (kind: RecordKind) => {
    const known = kinds.get(kind) ?? new Map(before?.records(kind));
    kinds.set(kind, known);
    return known;
  };
  const take = (
    kind: RecordKind,
    { key, facets }: { key: string; facets: Readonly<Record<string, string>> },
    asked: readonly string[],
  ) => {
    const old = ofKind(kind).get(key) ?? {};
    const kept = Object.entries(old).filter(([name]) => !asked.includes(name));
    const read = Object.entries(facets).map(([name, text]) => [name, JSON.parse(text)]);
    ofKind(kind).set(key, Object.fromEntries([...kept, ...read]));
  };
  return {
    cursors,
    scans,
    rounds,
    records: ofKind,
    find(kind, facet, property, value) {
      for (const [key, facets] of ofKind(kind)) {
        const of = facets as Found["facets"];
        if (of[facet]?.[property] === value) return { key, facets: of };
      }
      return undefined;
    },
    ready: async (signal) => signal.throwIfAborted(),
    pagesOf: async () => ({}),
    async applyRange(kind, { facets, records: given }) {
      const records = unpacked(given, facets);
      const there = new Set(records.map(({ key }) => key));
      const gone = [...ofKind(kind).keys()].filter((key) => !there.has(key));
      for (const key of gone) ofKind(kind).delete(key);
      for (const record of records) take(kind, record, facets);
      scans.push({ kind, missing: gone.length });
      return { changed: 0, missing: gone.length };
    },
    passOverRange: async () => {},
    async applyChanges(kind, { facets, records }, tombstones = []) {
      for (const record of records) take(kind, record, facets);
      const gone = tombstones.filter((key) => ofKind(kind).delete(key)).length;
      rounds.push({ kind, records: records.length, gone });
      return { changed: records.length, missing: 0 };
    },
    leaving: async () => ({ keys: [], neighbours: [] }),
    endScan: async () => ({ deleted: 0, waiting: 0 }),
    cursor: async (name) => cursors.get(name),
    async keepCursor(name, value) {
      cursors.set(name, value);
    },
    progress: () => {},
  };
}

function unpacked(
  records: readonly ReadRecord[] | PackedRecords,
  facets: readonly string[],
): readonly ReadRecord[] {
  return [...recordsOf(records, facets)].map(({ key, texts }) => {
    const read = texts.flatMap((text, at) => (text === undefined ? [] : [[facets[at], text]]));
    return { key, facets: Object.fromEntries(read) };
  });
}
