import { ProtocolError } from "../errors.ts";
import type { EnrolmentToken } from "./messages.ts";
import { enrolmentToken } from "./messages.ts";

const PREFIX = "isthmus1.";
const MAX_TOKEN_LENGTH = 8_192;

/** The token as an administrator hands it over: `isthmus1.` and base64url of its JSON. */
export function formatEnrolmentToken(token: EnrolmentToken): string {
  return PREFIX + Buffer.from(JSON.stringify(token)).toString("base64url");
}

/** Reads a token, surrounding white space ignored. Throws ProtocolError `enrolment-token`; never repeats the token. */
export function parseEnrolmentToken(text: string): EnrolmentToken {
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX) || trimmed.length > MAX_TOKEN_LENGTH) {
    throw new ProtocolError("enrolment-token", `enrolment token does not begin with ${PREFIX}`);
  }
  try {
    const json = Buffer.from(trimmed.slice(PREFIX.length), "base64url").toString("utf8");
    return enrolmentToken.parse(JSON.parse(json));
  } catch {
    throw new ProtocolError("enrolment-token", "enrolment token is damaged: copy it again, whole");
  }
}
