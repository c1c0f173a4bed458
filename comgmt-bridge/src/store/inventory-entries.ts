import {
  INVENTORY_STREAM,
  type InventoryEntry,
  MAX_FACETS,
  MAX_RECORDS_IN_ENTRY,
  MAX_WANTED_KEYS,
  type RecordKind,
} from "@isthmus/shared/link/inventory-messages";
import { appendPackedToStream, appendToStream } from "@isthmus/shared/link/lane-operations";
import { MAX_ENTRY_BYTES } from "@isthmus/shared/link/messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { Telling } from "./inventory-telling.ts";

/**
 * Own choice: entries are grouped up to so many octets. Each goes up in a frame of its own, which costs more than its octets where it has few;
 * compressed it has about a tenth of them, and a result behind it must not wait for long on a slow line.
 */
const GROUPED_BYTES = 196_608;
/** Even where each character is 3 octets in UTF-8 a record of so many is below the wire's limit: the facets of a larger one are counted. */
const SURE_RECORD_CHARACTERS = 65_536;
/** An entry of records comes to be here, and the one behind it: operations run one after the other, and each makes entries of one kind. */
const entry = Buffer.allocUnsafeSlow(2 * MAX_ENTRY_BYTES);
const ENTRY_END = "]}";
/** Room for what stands around the facets of a record that has an entry of its own: names, and a key of 256 escaped characters. */
const HEAD_BYTES = 4_096;
/** Own limit: a facet has to fit an entry of its own. */
export const MAX_FACET_BYTES = MAX_ENTRY_BYTES - HEAD_BYTES;
/** Below so many characters a text is within it whatever they are. */
export const SURE_FACET_CHARACTERS = Math.floor(MAX_FACET_BYTES / 3);

/** Puts changes of one kind into the stream, many records to an entry; `flush` at the end of the operation. */
export class RecordEntries {
  readonly #transaction: Transaction;
  readonly #telling: Telling;
  readonly #head: string;
  readonly #recordHead: string;
  #bytes = 0;
  #count = 0;

  constructor(transaction: Transaction, telling: Telling, kind: RecordKind) {
    this.#transaction = transaction;
    this.#telling = telling;
    const { source, lease } = telling;
    this.#head = `{"type":"records","source":${JSON.stringify(source)},"lease":${lease},"records":[`;
    this.#recordHead = `{"kind":${JSON.stringify(kind)},"key":`;
  }

  /** `facets` are members of the record's object of facets, each `"name":{"hash":...,"value":...}`, and together `characters` long. */
  add(key: string, isWhole: boolean, facets: readonly string[], characters: number): void {
    if (characters <= SURE_RECORD_CHARACTERS && facets.length <= MAX_FACETS) {
      this.#append(key, isWhole, joined(facets));
      return;
    }
    // What comes first replaces all that the control plane has of a whole record, what follows adds to it.
    let isFirst = true;
    for (const part of partsOf(facets)) {
      this.#append(key, isWhole && isFirst, part);
      isFirst = false;
    }
  }

  #append(key: string, isWhole: boolean, facets: string): void {
    const revision = this.#telling.nextRevision();
    const { at } = this.#telling;
    const record = `${this.#recordHead}${JSON.stringify(key)},"revision":${revision},"at":${at},"isWhole":${isWhole},"facets":{${facets}}}`;
    if (this.#count === 0) this.#bytes = entry.write(this.#head);
    const from = this.#bytes;
    this.#bytes += entry.write(this.#count === 0 ? record : `,${record}`, from);
    if (this.#count > 0 && this.#bytes > GROUPED_BYTES) this.#flushBefore(from);
    this.#count += 1;
    if (this.#count === MAX_RECORDS_IN_ENTRY) this.flush();
  }

  /** The record that stands from there on, behind its comma, is the first of the next entry. */
  #flushBefore(from: number): void {
    const record = Buffer.from(entry.subarray(from + 1, this.#bytes));
    this.#bytes = from;
    this.flush();
    const at = entry.write(this.#head);
    this.#bytes = at + record.copy(entry, at);
  }

  flush(): void {
    if (this.#count === 0) return;
    const { at } = this.#telling;
    const end = this.#bytes + entry.write(ENTRY_END, this.#bytes);
    appendPackedToStream(this.#transaction, {
      stream: INVENTORY_STREAM,
      at,
      raw: entry.subarray(0, end),
    });
    this.#bytes = 0;
    this.#count = 0;
  }
}

/** Not copied together before the whole record is. */
function joined(facets: readonly string[]): string {
  return facets.reduce((before, facet) => (before === "" ? facet : `${before},${facet}`), "");
}

/** Facets of a large record in groups that fit an entry; each alone does, `MAX_FACET_BYTES` has seen to it. */
function partsOf(facets: readonly string[]): string[] {
  const parts: string[] = [];
  let part: string[] = [];
  let bytes = 0;
  for (const facet of facets) {
    const more = Buffer.byteLength(facet) + 1;
    if (part.length > 0 && (part.length === MAX_FACETS || bytes + more > MAX_FACET_BYTES)) {
      parts.push(part.join(","));
      part = [];
      bytes = 0;
    }
    part.push(facet);
    bytes += more;
  }
  return [...parts, part.join(",")];
}

/** Of the wire. */
const MAX_MESSAGE_CHARACTERS = 1_024;
/** Room for what stands around the keys of a `deleted` entry. */
const DELETED_KEYS_BYTES = MAX_ENTRY_BYTES - 4 * HEAD_BYTES;

type Evidence = Extract<InventoryEntry, { type: "deleted" }>["evidence"];

/** Tells that records are gone, in as many entries as it takes. */
export function tellDeleted(
  transaction: Transaction,
  telling: Telling,
  of: { readonly kind: RecordKind; readonly keys: readonly string[]; readonly evidence: Evidence },
): void {
  let from = 0;
  while (from < of.keys.length) {
    let bytes = 0;
    let end = from;
    while (end < of.keys.length && end - from < MAX_WANTED_KEYS) {
      bytes += Buffer.byteLength(JSON.stringify(of.keys[end])) + 1;
      if (bytes > DELETED_KEYS_BYTES && end > from) break;
      end += 1;
    }
    const { source, lease, at } = telling;
    const { kind, evidence } = of;
    const keys = of.keys.slice(from, end);
    const revision = telling.nextRevision();
    tell(transaction, { type: "deleted", source, lease, kind, at, revision, keys, evidence });
    from = end;
  }
}

export function tell(
  transaction: Transaction,
  entry: Exclude<InventoryEntry, { type: "records" }>,
): void {
  appendToStream(transaction, { stream: INVENTORY_STREAM, at: entry.at, entry });
}

export interface SourceEvent {
  readonly event: string;
  readonly message: string;
  readonly kind?: RecordKind;
  readonly figures?: Readonly<Record<string, number>>;
  readonly keys?: readonly string[] | undefined;
}

/** Tells what the bridge did or saw that is no record; the message is cut to what the wire carries. */
export function tellEvent(
  transaction: Transaction,
  { source, lease, at }: Pick<Telling, "source" | "lease" | "at">,
  { event, message, kind, figures, keys }: SourceEvent,
): void {
  tell(transaction, {
    type: "event",
    source,
    lease,
    at,
    event,
    message: message.slice(0, MAX_MESSAGE_CHARACTERS),
    ...(kind && { kind }),
    ...(figures && { figures }),
    ...(keys && { keys: [...keys] }),
  });
}
