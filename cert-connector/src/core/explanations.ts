import { AUTHORITY_EXPLANATIONS } from "./explanations-authority.ts";
import { MESSAGE_EXPLANATIONS } from "./explanations-message.ts";
import { PARTNER_EXPLANATIONS } from "./explanations-partner.ts";
import { REQUEST_EXPLANATIONS } from "./explanations-request.ts";

/** Why something failed, in general (the error's own message has the particulars), and what a person does about it. */
export interface Explanation {
  readonly cause: string;
  readonly remedy: string;
}

/** `[cause, remedy]` by code. */
export type Explanations = Readonly<Record<string, readonly [cause: string, remedy: string]>>;

/** Every code by itself; a code that ends in `-` stands for all that begin so and have no entry. */
export const EXPLANATIONS: Explanations = {
  ...MESSAGE_EXPLANATIONS,
  ...REQUEST_EXPLANATIONS,
  ...AUTHORITY_EXPLANATIONS,
  ...PARTNER_EXPLANATIONS,
};

const UNKNOWN: Explanation = {
  cause: "this code is not in the table",
  remedy: "see the service's log at that time, and report it with the log",
};

/** What is known of a code; every code of this service has an entry. */
export function explanationOf(code: string): Explanation {
  return explained(code) ?? UNKNOWN;
}

/** Undefined for a code without entry. */
export function explained(code: string): Explanation | undefined {
  const entry = Object.hasOwn(EXPLANATIONS, code) ? EXPLANATIONS[code] : familyOf(code);
  return entry && { cause: entry[0], remedy: entry[1] };
}

/** The longest beginning of the code that stands for a family. */
function familyOf(code: string) {
  const parts = code.split("-");
  for (let length = parts.length - 1; length > 0; length -= 1) {
    const family = `${parts.slice(0, length).join("-")}-`;
    if (Object.hasOwn(EXPLANATIONS, family)) return EXPLANATIONS[family];
  }
  return undefined;
}
