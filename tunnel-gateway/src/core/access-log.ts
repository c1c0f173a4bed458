import { createHmac } from "node:crypto";
import { RefusalError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { scoredAddress } from "./vpn/scores.ts";

/** How much the access log says of people, from least to most. */
const DETAILS = ["pseudonymous", "standard", "full"] as const;
export type AccessLogDetail = (typeof DETAILS)[number];

type Fields = Readonly<Record<string, unknown>>;

/** Says who it was. */
const USERS = new Set(["userPrincipalName", "userName"]);
const ADDRESSES = new Set(["remoteAddress", "address"]);
const PERSONAL = new Set([...USERS, ...ADDRESSES, "deviceId", "key"]);
/** A client's port, and which address of the VPN's it has: with who keeps such lists they lead to somebody. */
const ADDRESS_PARTS = new Set(["port", "tunnel", "slot"]);
/** Says where somebody went. */
const WHERE = new Set(["destination"]);
/** Texts that name nobody. What is not here, e.g. a refusal in the client's words, may name a device, a person or a host. */
const IMPERSONAL = new Set([
  ...["connectionId", "sessionId", "group", "code", "rule", "by", "end", "cipher", "kind"],
]);
/** Of an HMAC-SHA256: nobody meets another's by chance among millions. */
const PSEUDONYM_BYTES = 12;

/** What stands in the place of a person's text in a field. */
type Pseudonym = (name: string, text: string) => string;

/** One pseudonym for each of them, and another after a start: who reads a log cannot tell it from the text, nor follow it for ever. */
function pseudonyms({ random, keyOfUser }: Pick<AccessLogOptions, "random" | "keyOfUser">) {
  const key = random.bytes(32);
  // What is one user or address to the gateway has one pseudonym, however it is written.
  const plain = (name: string, text: string) => {
    if (USERS.has(name)) return keyOfUser(text);
    return ADDRESSES.has(name) ? scoredAddress(text) : text;
  };
  return (name: string, text: string) =>
    createHmac("sha256", key)
      .update(plain(name, text))
      .digest()
      .subarray(0, PSEUDONYM_BYTES)
      .toString("base64url");
}

/** The fields of a line as a level may show them. */
export function fieldsAt(detail: AccessLogDetail, fields: Fields, pseudonym: Pseudonym): Fields {
  if (detail === "full") return fields;
  const all = Object.entries(fields);
  const shown = all.filter(([name]) => !WHERE.has(name));
  if (detail === "pseudonymous") return pseudonymousFields(shown, pseudonym);
  if (shown.length === all.length) return fields;
  // What failed on the way to a place may name it.
  return Object.fromEntries(
    shown.map(([name, value]) => [name, value instanceof Error ? wordless(value) : value]),
  );
}

function pseudonymousFields(fields: readonly [string, unknown][], pseudonym: Pseudonym): Fields {
  return Object.fromEntries(
    fields
      .map(([name, value]) => [name, pseudonymous(name, value, pseudonym)] as const)
      .filter(([, value]) => value !== undefined),
  );
}

function pseudonymous(name: string, value: unknown, pseudonym: Pseudonym): unknown {
  if (PERSONAL.has(name)) return typeof value === "string" ? pseudonym(name, value) : undefined;
  if (ADDRESS_PARTS.has(name)) return undefined;
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (value instanceof Error) return wordless(value);
  if (typeof value === "object" && value !== null) {
    return pseudonymousFields(Object.entries(value), pseudonym);
  }
  return IMPERSONAL.has(name) ? value : undefined;
}

/** What kind of fault it was and where in the code: its words, its causes and what else it has may name a person or a place. */
function wordless(error: Error): Fields {
  const { name: type, message, stack = "" } = error;
  const { code } = error as NodeJS.ErrnoException;
  const words = stack.indexOf(message);
  const frames = (words < 0 ? stack : stack.slice(words + message.length))
    .split("\n")
    .filter((line) => line.startsWith("    at "));
  return { type, ...(typeof code === "string" && { code }), stack: frames.join("\n") };
}

/** What the host allows and wants; undefined where it does not care. */
export interface DetailBounds {
  readonly least?: AccessLogDetail | undefined;
  readonly most?: AccessLogDetail | undefined;
}

/** What is written where a configuration says nothing of it: who, or what is nearest to it within the host's bounds. */
export function detailOf(
  wanted: AccessLogDetail | undefined,
  { least, most }: DetailBounds,
): AccessLogDetail {
  if (wanted !== undefined) return wanted;
  if (least !== undefined && isMore(least, "standard")) return least;
  return most !== undefined && isMore("standard", most) ? most : "standard";
}

const isMore = (one: AccessLogDetail, than: AccessLogDetail) =>
  DETAILS.indexOf(one) > DETAILS.indexOf(than);

/** Throws `RefusalError` `guardrail-exceeded` where a configuration would have more written than the host allows, or less than it wants. */
export function refuseDetail(
  wanted: AccessLogDetail | undefined,
  { least, most }: DetailBounds,
): void {
  if (wanted === undefined) return;
  if (most !== undefined && isMore(wanted, most)) throw exceeded(wanted, "mostDetail", most);
  if (least !== undefined && isMore(least, wanted)) throw exceeded(wanted, "leastDetail", least);
}

function exceeded(wanted: AccessLogDetail, key: "leastDetail" | "mostDetail", of: AccessLogDetail) {
  const bound = key === "mostDetail" ? `allow ${of} at most` : `want ${of} at least`;
  return new RefusalError(
    "guardrail-exceeded",
    `guardrails.tunnel-gateway.accessLog.${key}`,
    `accessLog.detail is ${wanted}, the guardrails ${bound}: set accessLog.${key} in the guardrails on the host`,
  );
}

/** What of a log the access log needs. */
export interface AccessLines {
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}

interface AccessLogOptions {
  readonly log: AccessLines;
  /** The level at the moment. */
  readonly detail: () => AccessLogDetail;
  readonly random: Random;
  /** Equal for all names of one user. */
  readonly keyOfUser: (userName: string) => string;
}

/** A log that shows of each line what the level at the moment may show. */
export function accessLog(options: AccessLogOptions): AccessLines {
  const { log, detail } = options;
  const pseudonym = pseudonyms(options);
  const shown = (fields: object) => fieldsAt(detail(), fields as Fields, pseudonym);
  return {
    info: (fields, event) => log.info(shown(fields), event),
    warn: (fields, event) => log.warn(shown(fields), event),
    error: (fields, event) => log.error(shown(fields), event),
  };
}
