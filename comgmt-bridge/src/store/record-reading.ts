import { bucketOf } from "@isthmus/shared/link/inventory-digest";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { ReadChanges, ReadRange, ReadRecord } from "../core/inventory-state.ts";
import { type PackedRecords, type RecordTexts, unpacked } from "../core/packed-records.ts";
import { FacetNames } from "./facet-names.ts";
import { type ComparedRecord, compareRecord, type ReadingRules } from "./facet-reading.ts";
import { PackedDigests } from "./facet-states.ts";
import { RecordEntries } from "./inventory-entries.ts";
import { Telling } from "./inventory-telling.ts";
import { countRecords, type KindState, kindState } from "./kind-state.ts";
import { insertRecord, type RecordRow, updateFoundRecord } from "./record-rows.ts";
import { isFacetName, isRecordKey, refuse } from "./refusals.ts";

/** The records of a reading, however they came. */
export function* recordsOf(
  records: readonly ReadRecord[] | PackedRecords,
  facets: readonly string[],
): Generator<RecordTexts> {
  if ("octets" in records) return yield* unpacked(records);
  for (const { key, facets: read } of records) {
    yield { key, texts: facets.map((name) => read[name]) };
  }
}

/** Takes the records of one operation, one after the other: notes their hashes and tells what differs. `end` when all are taken. */
export class RecordReading {
  readonly kind: KindState;
  readonly telling: Telling;
  readonly #transaction: Transaction;
  readonly #entries: RecordEntries;
  readonly #rules: ReadingRules;
  readonly #digests: PackedDigests;
  #changed = 0;
  #found = 0;
  #hasFound = false;
  #isOpen = false;

  /** Throws ConnectorError `lease-not-held`. */
  constructor(transaction: Transaction, argument: ReadRange | ReadChanges) {
    this.#transaction = transaction;
    this.telling = new Telling(transaction, argument);
    this.kind = kindState(transaction, argument);
    this.#entries = new RecordEntries(transaction, this.telling, argument.kind);
    const names = new FacetNames(transaction);
    this.#rules = {
      asked: names.asked(this.#accepted(argument.facets)),
      areAllFacets: argument.areAllFacets === true,
      areShallow: "areShallow" in argument && argument.areShallow === true,
      nameOf: names.nameOf,
    };
    this.#digests = new PackedDigests(names.nameOf);
  }

  /** Records that were new or differed. */
  get changed(): number {
    return this.#changed;
  }

  /** Whether there were records that were not known to be there: new ones, and those that had been missing. */
  get hasFound(): boolean {
    return this.#hasFound;
  }

  /** Whether the next reading decides about something, even if it is the same as this one. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether the record's row was written. */
  take({ key, texts }: RecordTexts, row: RecordRow | undefined): boolean {
    if (row === undefined) return this.#takeNew(key, texts);
    const compared = compareRecord(texts, row.facets, row.isWanted, this.#rules);
    this.#note(key, compared);
    const isWanted = row.isWanted && !compared.isWhole;
    const isAsItWas =
      compared.packed === row.facets && isWanted === row.isWanted && row.missedAfter === undefined;
    if (isAsItWas && !row.isSuspected) return false;
    if (row.isSuspected) this.#found += 1;
    if (row.isSuspected || row.missedAfter !== undefined) this.#hasFound = true;
    const isSameDigest = compared.packed === row.facets && !row.isSuspected;
    const { number } = row;
    const facets = compared.packed;
    const digest = isSameDigest ? row.digest : this.#digests.of(key, facets);
    updateFoundRecord(this.#transaction, this.kind.id, { number, key, facets, digest, isWanted });
    return true;
  }

  #takeNew(key: string, texts: RecordTexts["texts"]): boolean {
    if (!isRecordKey(key)) {
      this.#refuse("record.malformed", `record ${JSON.stringify(key)}`);
      return false;
    }
    const compared = compareRecord(texts, "", true, this.#rules);
    this.#note(key, compared, true);
    const facets = compared.packed;
    insertRecord(this.#transaction, this.kind.id, {
      key,
      facets,
      digest: this.#digests.of(key, facets),
      bucket: bucketOf(key),
      isSuspected: false,
      isWanted: false,
    });
    this.#found += 1;
    this.#hasFound = true;
    return true;
  }

  #note(key: string, compared: ComparedRecord, isNew = false): void {
    const { told, toldCharacters, isWhole, refused } = compared;
    if (compared.isOpen) this.#isOpen = true;
    for (const { name, code } of refused) {
      this.#refuse(code, `facet ${name} of record ${JSON.stringify(key)}`);
    }
    if (told.length === 0 && !isWhole && !isNew) return;
    this.#entries.add(key, isWhole, told, toldCharacters);
    this.#changed += 1;
  }

  /** Names of facets that the wire carries, and their places among all. */
  #accepted(names: readonly string[]): Map<string, number> {
    const accepted = new Map<string, number>();
    for (const [at, name] of names.entries()) {
      if (isFacetName(name)) accepted.set(name, at);
      else this.#refuse("facet.malformed", `facet ${JSON.stringify(name)}`);
    }
    return accepted;
  }

  #refuse(code: Parameters<typeof refuse>[3]["code"], subject: string): void {
    refuse(this.#transaction, this.kind, this.telling, { code, subject });
  }

  /** Puts what is left into the stream. */
  end(): void {
    this.#entries.flush();
    countRecords(this.#transaction, this.kind.id, this.#found);
    this.telling.end();
  }
}
