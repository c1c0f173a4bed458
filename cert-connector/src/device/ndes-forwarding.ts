import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { ConnectorError } from "@isthmus/shared/errors";
import { wholeBody } from "@isthmus/shared/link/message-body";
import type { HttpAnswer } from "./http-answer.ts";

/** Our own limit on an answer: certificates and lists of a large CA have room. */
const MAX_ANSWER_BYTES = 4_194_304;

export interface NdesServer {
  /** Up to and with `mscep.dll`. */
  readonly url: string;
  /** PEM. */
  readonly ca: string | undefined;
  readonly timeoutMs: number;
}

/** A request as it came in: method, what follows `mscep.dll` with its query, and the headers that say something. */
export interface ForwardedRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly rest: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

/**
 * Sends a request on and brings the answer back, both unchanged. Throws ConnectorError `ndes-unreachable` (retryable),
 * `ndes-answer` for one that is too long.
 */
export async function forwardToNdes(
  { url, ca, timeoutMs }: NdesServer,
  { method, rest, headers, body }: ForwardedRequest,
): Promise<HttpAnswer> {
  const target = new URL(url + rest);
  const send = target.protocol === "https:" ? tlsRequest : plainRequest;
  const options = { method, headers, timeout: timeoutMs, ...(ca !== undefined && { ca }) };
  return await new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(cause instanceof ConnectorError ? cause : unreachable(target, cause));
    // As it stands: the URL class would escape what macOS leaves unescaped.
    const outgoing = send(target, { ...options, path: pathOf(url) + rest }, (response) => {
      readAnswer(response).then(resolve, fail);
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error(`nothing for ${timeoutMs} ms`)));
    outgoing.once("error", fail);
    outgoing.end(body);
  });
}

function unreachable({ host }: URL, cause: unknown): ConnectorError {
  const message = `NDES at ${host} does not answer`;
  return new ConnectorError("ndes-unreachable", message, { isRetryable: true, cause });
}

function pathOf(url: string): string {
  return new URL(url).pathname.replace(/\/+$/, "");
}

async function readAnswer(response: IncomingMessage): Promise<HttpAnswer> {
  const body = await wholeBody(response, { maxBytes: MAX_ANSWER_BYTES, code: "ndes-answer" });
  return {
    status: response.statusCode ?? 502,
    contentType: response.headers["content-type"] ?? "application/octet-stream",
    body,
  };
}
