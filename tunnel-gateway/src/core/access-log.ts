import { createHmac } from "node:crypto";
import { RefusalError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";

/** How much the access log says of people, from least to most. */
const DETAILS = ["pseudonymous", "standard", "full"] as const;
export type AccessLogDetail = (typeof DETAILS)[number];

type Fields = Readonly<Record<string, unknown>>;

/** Says who it was. */
const PERSONAL = new Set([
  "userPrincipalName",
  "userName",
  "deviceId",
  "remoteAddress",
  "address",
  "key",
]);
/** Says where somebody went. */
const WHERE = new Set(["destination"]);
/** Texts that name nobody. What is not here, e.g. a refusal in the client's words, may name a device, a person or a host. */
const IMPERSONAL = new Set([
  ...["connectionId", "sessionId", "group", "code", "rule", "by", "end", "cipher", "kind"],
]);
/** Of an HMAC-SHA256: nobody meets another's by chance among millions. */
const PSEUDONYM_BYTES = 12;

/** One pseudonym for each text, and another after a start: who reads a log cannot tell it from the text, nor follow it for ever. */
function pseudonyms(random: Random): (text: string) => string {
  const key = random.bytes(32);
  return (text) =>
    createHmac("sha256", key)
      .update(text)
      .digest()
      .subarray(0, PSEUDONYM_BYTES)
      .toString("base64url");
}

/** The fields of a line as a level may show them. Faults of our own (`err`) are shown as they are: they are no events of access. */
export function fieldsAt(
  detail: AccessLogDetail,
  fields: Fields,
  pseudonym: (text: string) => string,
): Fields {
  if (detail === "full") return fields;
  const shown = Object.entries(fields).filter(([name]) => !WHERE.has(name));
  if (detail === "standard") return Object.fromEntries(shown);
  return Object.fromEntries(
    shown
      .map(([name, value]) => [name, pseudonymous(name, value, pseudonym)] as const)
      .filter(([, value]) => value !== undefined),
  );
}

function pseudonymous(name: string, value: unknown, pseudonym: (text: string) => string): unknown {
  if (PERSONAL.has(name)) return typeof value === "string" ? pseudonym(value) : undefined;
  if (typeof value === "number" || typeof value === "boolean" || value instanceof Error)
    return value;
  if (typeof value === "object" && value !== null) {
    return fieldsAt("pseudonymous", value as Fields, pseudonym);
  }
  return IMPERSONAL.has(name) ? value : undefined;
}

/** What is written where a configuration says nothing of it, or none is there yet: who, or less where the host says so. */
export function detailOf(
  wanted: AccessLogDetail | undefined,
  most: AccessLogDetail | undefined,
): AccessLogDetail {
  return wanted ?? (most !== undefined && isMore("standard", most) ? most : "standard");
}

const isMore = (one: AccessLogDetail, than: AccessLogDetail) =>
  DETAILS.indexOf(one) > DETAILS.indexOf(than);

/** Throws `RefusalError` `guardrail-exceeded` where a configuration would have more written than the host allows. */
export function refuseDetail(
  wanted: AccessLogDetail | undefined,
  most: AccessLogDetail | undefined,
): void {
  if (wanted === undefined || most === undefined || !isMore(wanted, most)) return;
  const message = `accessLog.detail is ${wanted}, the guardrails allow ${most} at most: set accessLog.mostDetail in the guardrails on the host`;
  throw new RefusalError(
    "guardrail-exceeded",
    "guardrails.tunnel-gateway.accessLog.mostDetail",
    message,
  );
}

/** What of a log the access log needs. */
export interface AccessLines {
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}

/** A log that shows of each line what the level at the moment may show. */
export function accessLog(
  log: AccessLines,
  detail: () => AccessLogDetail,
  random: Random,
): AccessLines {
  const pseudonym = pseudonyms(random);
  const shown = (fields: object) => fieldsAt(detail(), fields as Fields, pseudonym);
  return {
    info: (fields, event) => log.info(shown(fields), event),
    warn: (fields, event) => log.warn(shown(fields), event),
    error: (fields, event) => log.error(shown(fields), event),
  };
}
