import { readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { ConnectorError } from "@isthmus/shared/errors";
import type { RevocationSource } from "../core/ports.ts";

/** Own limits: a list of about 1,000,000 entries, and what an OCSP responder may answer. */
const MAX_LIST_BYTES = 67_108_864;
const MAX_ANSWER_BYTES = 131_072;
const LIST_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Certification authorities over HTTP, and files that something else keeps up to date. Redirects are not followed: the
 * local configuration says where to ask. What comes is signed, so plain HTTP is as good as HTTPS here (RFC 5280, 8).
 */
export const revocationSource: RevocationSource = {
  fetchList(url, signal) {
    if (url.protocol === "file:") return readList(fileURLToPath(url));
    const limited = AbortSignal.any([signal, AbortSignal.timeout(LIST_TIMEOUT_MS)]);
    return request(url, { method: "GET", signal: limited }, MAX_LIST_BYTES);
  },

  askResponder(url, body, signal) {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
    const headers = { "content-type": "application/ocsp-request" };
    const init = { method: "POST", headers, body: Buffer.from(body), signal: limited };
    return request(url, init, MAX_ANSWER_BYTES);
  },
};

async function readList(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAX_LIST_BYTES) throw tooLarge(size, MAX_LIST_BYTES);
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof ConnectorError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
    throw unavailable(`${path} cannot be read: ${code}`, cause);
  }
}

async function request(url: URL, init: RequestInit, maxBytes: number): Promise<Uint8Array> {
  try {
    const response = await fetch(url, { ...init, redirect: "error" });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw unavailable(`${url.host} answered with status ${response.status}`);
    }
    return await readBounded(response.body, maxBytes);
  } catch (cause) {
    if (cause instanceof ConnectorError) throw cause;
    throw unavailable(`${url.host} cannot be reached: ${reasonOf(cause)}`, cause);
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(bytes, maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** fetch says only "fetch failed" and keeps the reason in `cause`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const { cause } = error;
  if (cause instanceof Error) return (cause as NodeJS.ErrnoException).code ?? cause.message;
  return error.name === "TimeoutError" ? "no answer in time" : error.message;
}

function tooLarge(bytes: number, maxBytes: number): ConnectorError {
  return new ConnectorError("revocation-too-large", `${bytes} bytes exceed ${maxBytes}`);
}

function unavailable(message: string, cause?: unknown): ConnectorError {
  return new ConnectorError("revocation-unavailable", message, { isRetryable: true, cause });
}
