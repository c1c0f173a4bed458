import {
  facetName,
  MAX_FACET_NESTING,
  MAX_KEY_CHARACTERS,
} from "@isthmus/shared/link/inventory-messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import { isTextNestedAtMost } from "../core/inventory-facet-text.ts";
import { MAX_FACET_BYTES, SURE_FACET_CHARACTERS, tellEvent } from "./inventory-entries.ts";
import type { Telling } from "./inventory-telling.ts";
import type { KindState } from "./kind-state.ts";

/** Own limit: so many are noted of a kind; those above it are left out without a word. */
export const MAX_REFUSALS = 1_000;
const MAX_SUBJECT_CHARACTERS = 200;

/** What the wire does not carry, and why. */
const REASONS = {
  "record.malformed": "its key is empty, longer than 256 characters or holds half a character",
  "facet.malformed": "its name is no facet's name",
  "facet.too-large": `it is larger than ${MAX_FACET_BYTES} bytes`,
  "facet.too-deep": `it is nested deeper than ${MAX_FACET_NESTING}`,
} as const;
type RefusalCode = keyof typeof REASONS;

/** SQLite would keep two keys of broken UTF-16 as one, here as in the control plane. */
export const isRecordKey = (key: string): boolean =>
  key !== "" && key.length <= MAX_KEY_CHARACTERS && key.isWellFormed();
export const isFacetName = (name: string): boolean => facetName.safeParse(name).success;

/** Why the wire does not carry a facet; undefined where it does. */
export function facetRefusal(text: string, isShallow: boolean): RefusalCode | undefined {
  if (text.length > SURE_FACET_CHARACTERS && Buffer.byteLength(text) > MAX_FACET_BYTES) {
    return "facet.too-large";
  }
  return isShallow || isTextNestedAtMost(text, MAX_FACET_NESTING) ? undefined : "facet.too-deep";
}

/** Notes what is left out, and tells it the first time. */
export function refuse(
  transaction: Transaction,
  { id, kind }: KindState,
  telling: Telling,
  of: { readonly code: RefusalCode; readonly subject: string },
): void {
  const subject = of.subject.slice(0, MAX_SUBJECT_CHARACTERS);
  const { changes } = transaction.run(
    `INSERT INTO refusal (kind_id, subject, code, at)
     SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM refusal WHERE kind_id = ?) < ?
     ON CONFLICT DO NOTHING`,
    id,
    subject,
    of.code,
    telling.at,
    id,
    MAX_REFUSALS,
  );
  if (changes === 0) return;
  const message = `${subject} is left out: ${REASONS[of.code]}`;
  tellEvent(transaction, telling, { event: of.code, message, kind });
}
