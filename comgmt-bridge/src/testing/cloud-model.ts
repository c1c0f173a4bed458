import {
  bucketOf,
  DigestBuckets,
  differingBuckets,
  facetHash,
  recordDigest,
} from "@isthmus/shared/link/inventory-digest";
import type {
  InventoryDiffers,
  InventoryEntry,
  RecordKind,
} from "@isthmus/shared/link/inventory-messages";

/** Without revisions of their own: those of the stream only ever grow, and `raise` sees to it. */
interface KeptFacet {
  hash: string;
  value: unknown;
}

/** What a control plane makes of the entries of one source and kind, as the docstrings of the entries say; nothing more. */
export class CloudModel {
  readonly records = new Map<string, Map<string, KeptFacet>>();
  readonly source: string;
  readonly kind: RecordKind;
  lease = 0;
  revision = 0;
  #differs = { buckets: [] as number[], wanted: [] as string[], unknown: [] as string[] };
  /** Whether the last digest that was told is that of the records here. */
  isEqual: boolean | undefined;

  constructor(source: string, kind: RecordKind) {
    this.source = source;
    this.kind = kind;
  }

  apply(entry: InventoryEntry): void {
    if (entry.lease !== this.lease) return;
    switch (entry.type) {
      case "records":
        for (const record of entry.records) this.#applyRecord(record);
        break;
      case "deleted":
        this.#raise(entry.revision);
        for (const key of entry.keys) this.records.delete(key);
        break;
      case "digest":
        this.#compare(entry.count, Buffer.from(entry.buckets, "base64"));
        break;
      case "bucket":
        this.#compareBucket(entry.bucket, new Map(entry.records));
        break;
      case "event":
      case "client-events":
        break;
    }
  }

  #raise(revision: number): void {
    if (revision <= this.revision) throw new Error(`revision ${revision} after ${this.revision}`);
    this.revision = revision;
  }

  #applyRecord({
    key,
    revision,
    isWhole,
    facets,
  }: Extract<InventoryEntry, { type: "records" }>["records"][number]): void {
    this.#raise(revision);
    const kept = this.records.get(key) ?? new Map<string, KeptFacet>();
    this.records.set(key, kept);
    for (const name of isWhole ? [...kept.keys()] : []) {
      if (!(name in facets)) kept.delete(name);
    }
    for (const [name, { hash, value }] of Object.entries(facets)) {
      if (facetHash(JSON.stringify(value)) !== hash) throw new Error(`hash of ${name} is wrong`);
      if (value === null) kept.delete(name);
      else kept.set(name, { hash, value });
    }
  }

  digestOf(key: string): string {
    const facets = [...(this.records.get(key) ?? [])].map(([name, { hash }]) => [name, hash]);
    return recordDigest(key, Object.fromEntries(facets));
  }

  #compare(count: number, told: Buffer): void {
    const own = new DigestBuckets();
    for (const key of this.records.keys()) own.add(bucketOf(key), this.digestOf(key));
    const buckets = differingBuckets(own.toBytes(), told);
    if (buckets === undefined) throw new Error("a digest of another length");
    this.isEqual = buckets.length === 0 && own.count === count;
    this.#differs.buckets.push(...buckets);
  }

  #compareBucket(bucket: number, told: ReadonlyMap<string, string>): void {
    const isOther = (key: string) => !this.records.has(key) || this.digestOf(key) !== told.get(key);
    const here = [...this.records.keys()].filter((key) => bucketOf(key) === bucket);
    this.#differs.wanted.push(...[...told.keys()].filter(isOther));
    this.#differs.unknown.push(...here.filter((key) => !told.has(key)));
  }

  /** What it would say to the bridge now, if anything. */
  takeDiffers(): InventoryDiffers | undefined {
    const { buckets, wanted, unknown } = this.#differs;
    this.#differs = { buckets: [], wanted: [], unknown: [] };
    if (buckets.length + wanted.length + unknown.length === 0) return undefined;
    const { source, kind } = this;
    return { type: "inventory-differs", source, kind, buckets, wanted, unknown };
  }

  /** As plain values, to be compared with the source. */
  values(): Record<string, Record<string, unknown>> {
    return Object.fromEntries(
      [...this.records].map(([key, facets]) => [
        key,
        Object.fromEntries([...facets].map(([name, { value }]) => [name, value])),
      ]),
    );
  }
}
