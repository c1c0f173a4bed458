import { type Members, readMembers, type Shape } from "../strict-json.ts";
import { Refusal } from "./odata-refusal.ts";
import type { Principal, Right } from "./site-options.ts";

/** The body of an action: these parameters and no others, else 400. */
export function members<Of extends Shape>(body: unknown, shape: Of): Members<Of> {
  const read = readMembers(body, shape);
  if (typeof read !== "string") return read;
  const sentence = `The parameter '${read}' in the request payload is not a valid parameter for the operation.`;
  throw new Refusal(400, sentence);
}

/** Throws Refusal with status 403 where the principal lacks it. */
export function requireRight({ rights }: Principal, right: Right): void {
  if (rights === undefined || rights.includes(right)) return;
  throw new Refusal(403, `The right '${right}' is missing.`, null);
}
