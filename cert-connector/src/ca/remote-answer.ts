import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import type { OutboundAnswer } from "@isthmus/shared/kernel/outbound-http";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { pemToDer } from "@isthmus/shared/x509/pem";
import type { z } from "zod";
import type { IssuanceAnswer } from "../core/ports.ts";

/** Our own limits: a certificate with its chain, and as much of an authority's words as a log line bears. */
export const MAX_ANSWER_BYTES = 1_048_576;
const MAX_WORDS = 300;

/** The authority decided against this very order: asking again would not help. */
export function refused(code: string, message: string): IssuanceAnswer {
  return { kind: "refused", code, message };
}

/** The authority does not work at the moment. */
export function unavailable(message: string, cause?: unknown): ConnectorError {
  return new ConnectorError("ca-unavailable", message, { isRetryable: true, cause });
}

/** The authority does not know us, or lets us do less than is needed: a person has to see to it. */
export function credentialsRefused(message: string): ConnectorError {
  return new ConnectorError("ca-credentials", message);
}

/** An answer that is not what the authority's API promises. */
export function unexpectedAnswer(message: string, cause?: unknown): ConnectorError {
  return new ConnectorError("ca-answer", message, { cause });
}

/**
 * What a status other than success means, where it is no refusal of the order itself: too many requests and faults of the
 * server pass, 401 does not pass by itself.
 */
export function statusError({ status }: OutboundAnswer, words: string): ConnectorError {
  const message = `it answered ${status}${words === "" ? "" : `: ${words}`}`;
  if (status === 401 || status === 403) return credentialsRefused(message);
  if (status === 429 || status >= 500) return unavailable(message);
  return unexpectedAnswer(message);
}

/** JSON of a known shape; further members are passed over. Throws `ca-answer`. */
export function readJson<Output>({ body }: OutboundAnswer, schema: z.ZodType<Output>): Output {
  const result = schema.safeParse(jsonOf(body));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw unexpectedAnswer(`the answer's ${issue?.path.join(".") || "body"}: ${issue?.message}`);
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw unexpectedAnswer("the answer is not JSON", cause);
  }
}

/** The member of an error answer that says why, short and without control characters; empty where there is none. */
export function wordsOf<Output>(
  answer: OutboundAnswer,
  schema: z.ZodType<Output>,
  read: (error: Output) => string | undefined,
): string {
  try {
    return shortened(read(readJson(answer, schema)) ?? "");
  } catch {
    return "";
  }
}

/** Another's words, fit for a log line. */
export function shortened(text: string): string {
  return text
    .replaceAll(/[^\P{C}]+/gu, " ")
    .trim()
    .slice(0, MAX_WORDS);
}

/** The first certificate of PEM text. Throws `ca-answer`. */
export function certificateOfPem(pem: string): Certificate {
  const [first] = certificatesOfPem(pem);
  if (first === undefined) throw unexpectedAnswer("the answer holds no certificate");
  return first;
}

export function certificatesOfPem(pem: string): Certificate[] {
  return readingCertificates(() => pemToDer(pem, "CERTIFICATE").map(parseCertificate));
}

/** Runs what reads certificates; what is none is an answer that nobody expected. */
export function readingCertificates<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw unexpectedAnswer(`the answer holds no readable certificate: ${cause.message}`, cause);
  }
}
