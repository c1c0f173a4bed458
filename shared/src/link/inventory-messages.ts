import { z } from "zod";
import { clientEvent, MAX_CLIENT_EVENTS_IN_ENTRY } from "./client-events.ts";
import { isNestedAtMost } from "./nesting.ts";

/**
 * What a bridge tells of the organisation's inventory: entries of the log stream `inventory`, and the messages about it. A *source* is
 * one system that is read (`CM1`, a site; `ad.corp.example`, a domain; `agents`, inventory documents). It has *records*, each of a kind and
 * with a key of its own, and a record has *facets*: values that change together, each compared by its own hash.
 */

export const INVENTORY_STREAM = "inventory";

/** Own limits. */
export const MAX_RECORDS_IN_ENTRY = 200;
export const MAX_FACETS = 64;
export const MAX_FACET_NESTING = 16;
/** Buckets of a digest. */
export const DIGEST_BUCKETS = 4_096;
/** Octets of a bucket in a digest: the exclusive or of its records' digests. */
export const BUCKET_BYTES = 8;
/** Keys in one message of a repair. */
export const MAX_WANTED_KEYS = 500;
export const MAX_WANTED_BUCKETS = 256;
/** Keys that an event names. */
export const MAX_EVENT_KEYS = 100;
/** A lease not renewed for this long is free. */
export const LEASE_MS = 60_000;

const sequence = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const time = z.number().int().min(0).max(8_640_000_000_000_000);
const sentence = z.string().max(1_024);

/** Lower or upper case as the source itself spells it. */
export const sourceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
export const SOURCE_TYPES = ["configmgr", "active-directory", "agents"] as const;
export const sourceType = z.enum(SOURCE_TYPES);
export type SourceType = z.infer<typeof sourceType>;

/** Kinds of records; each source has some of them. */
export const RECORD_KINDS = [
  "device",
  "user",
  "group",
  "collection",
  "application",
  "deployment",
  "software-update",
  "script",
  "boundary-group",
] as const;
export const recordKind = z.enum(RECORD_KINDS);
export type RecordKind = z.infer<typeof recordKind>;

export const MAX_KEY_CHARACTERS = 256;
/** A ResourceID in decimal, a GUID, a CollectionID, a SID: unique within source and kind, and never a name. */
export const recordKey = z.string().min(1).max(MAX_KEY_CHARACTERS);

/** `identity`, `stable`, `volatile`, or a class by its name (`SMS_G_System_LOGICAL_DISK`): one word each. */
export const facetName = z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,127}$/);
/** First 8 octets of SHA-256 over the facet's JSON text, hex. */
export const facetHash = z.string().regex(/^[0-9a-f]{16}$/);

/** A new value with its hash; `value: null` says that the record has this facet no more. */
export const facetChange = z.object({
  hash: facetHash,
  value: z.unknown().refine((value) => isNestedAtMost(value, MAX_FACET_NESTING), "nested too deep"),
});

/** A record that is new or has changed: only the facets that have. */
export const inventoryRecord = z.object({
  kind: recordKind,
  key: recordKey,
  /** Grows with every change that the source's bridge tells; an older one never replaces a newer one. */
  revision: sequence,
  /** When the bridge read it, by its clock. */
  at: time,
  /** Whether `facets` are all that the record has. */
  isWhole: z.boolean(),
  facets: z
    .record(facetName, facetChange)
    .refine((facets) => Object.keys(facets).length <= MAX_FACETS, "too many facets"),
});
export type InventoryRecord = z.infer<typeof inventoryRecord>;

const aboutSource = { source: sourceName, lease: sequence };

const recordsEntry = z.object({
  type: z.literal("records"),
  ...aboutSource,
  records: z.array(inventoryRecord).min(1).max(MAX_RECORDS_IN_ENTRY),
});

/** Records that are gone, and how that is known. */
const deletedEntry = z.object({
  type: z.literal("deleted"),
  ...aboutSource,
  kind: recordKind,
  at: time,
  revision: sequence,
  keys: z.array(recordKey).min(1).max(MAX_WANTED_KEYS),
  evidence: z.object({
    /** `scans`: absent in two complete scans; `tombstone`: the source says so; `repair`: unknown to the source in two complete scans after a repair. */
    how: z.enum(["scans", "tombstone", "repair"]),
    /** Of the scans: when each began and ended. */
    scans: z.array(z.object({ beganAt: time, endedAt: time })).max(2),
    approvedBy: z.string().max(256).optional(),
  }),
});

/** What all records of a kind come to, at this place of the stream. */
const digestEntry = z.object({
  type: z.literal("digest"),
  ...aboutSource,
  kind: recordKind,
  at: time,
  count: sequence,
  /** `DIGEST_BUCKETS` times `BUCKET_BYTES`, standard base64. */
  buckets: z.string().max(Math.ceil((DIGEST_BUCKETS * BUCKET_BYTES) / 3) * 4),
});

/** All records of a bucket: key and digest of each. */
const bucketEntry = z.object({
  type: z.literal("bucket"),
  ...aboutSource,
  kind: recordKind,
  at: time,
  bucket: z
    .number()
    .int()
    .min(0)
    .max(DIGEST_BUCKETS - 1),
  records: z.array(z.tuple([recordKey, facetHash])).max(4_000),
});

/** What a bridge did or saw that is no record: a scan that ended, deletions that wait, a repair. */
const sourceEvent = z.object({
  type: z.literal("event"),
  ...aboutSource,
  at: time,
  event: z.string().regex(/^[a-z][a-z0-9.-]{0,63}$/),
  message: sentence,
  kind: recordKind.optional(),
  figures: z.record(z.string().max(64), z.number()).optional(),
  /** Records of the kind that it is about, the first of them. */
  keys: z.array(recordKey).max(MAX_EVENT_KEYS).optional(),
});

/** What happened on a device, as the source's own timeline of it says; it is no part of the record, and in no digest. */
const clientEventsEntry = z.object({
  type: z.literal("client-events"),
  ...aboutSource,
  at: time,
  key: recordKey,
  events: z.array(clientEvent).min(1).max(MAX_CLIENT_EVENTS_IN_ENTRY),
});

/** One entry of the `inventory` stream. */
export const inventoryEntry = z.discriminatedUnion("type", [
  recordsEntry,
  deletedEntry,
  digestEntry,
  bucketEntry,
  sourceEvent,
  clientEventsEntry,
]);
export type InventoryEntry = z.infer<typeof inventoryEntry>;

// --- Messages of the link ---------------------------------------------------------------------------------------------

/** From the connector: it would read this source, or goes on reading it. Sent every `LEASE_MS` / 3. */
export const leaseWanted = z.object({
  type: z.literal("lease-wanted"),
  source: sourceName,
  sourceType,
  /** The lease it holds; 0 for none. */
  lease: sequence,
  /** Whether it gives the lease up. */
  isGivenUp: z.boolean().default(false),
});

/** From the control plane: who reads the source. */
export const lease = z.object({
  type: z.literal("lease"),
  source: sourceName,
  isHeld: z.boolean(),
  /** Number of the lease in force; what carries a lower one is not applied. */
  lease: sequence,
  /** The highest revision that is stored of the source: the bridge goes on above it. */
  revision: sequence,
  /** From now. */
  validMs: z.number().int().min(0).max(LEASE_MS),
  /** Display name of the connector that holds it, where it is another. */
  holder: z.string().max(200).optional(),
});

/** From the control plane: what it lacks or has too much, found by a digest. */
export const inventoryDiffers = z.object({
  type: z.literal("inventory-differs"),
  source: sourceName,
  kind: recordKind,
  /** Buckets whose digests differ: the bridge lists them. */
  buckets: z
    .array(
      z
        .number()
        .int()
        .min(0)
        .max(DIGEST_BUCKETS - 1),
    )
    .max(MAX_WANTED_BUCKETS),
  /** Records that are missing or other here: the bridge reads them again and sends them whole. */
  wanted: z.array(recordKey).max(MAX_WANTED_KEYS),
  /** Records that the bridge did not list: it deletes them where the source does not have them. */
  unknown: z.array(recordKey).max(MAX_WANTED_KEYS),
});

export type LeaseWanted = z.infer<typeof leaseWanted>;
export type Lease = z.infer<typeof lease>;
export type InventoryDiffers = z.infer<typeof inventoryDiffers>;
