import { request as requestHttps } from "node:https";

const TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 16 * 1_048_576;

export interface JsonRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  /** PEM of the only authority that is believed. */
  readonly authority: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** One HTTPS exchange with JSON on both sides; a body that is not JSON comes back as text. */
export function requestJson(of: JsonRequest): Promise<JsonAnswer> {
  const body = of.body === undefined ? undefined : Buffer.from(JSON.stringify(of.body));
  return new Promise((resolve, reject) => {
    const request = requestHttps(of.url, {
      method: of.method,
      ca: of.authority,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      agent: false,
      headers: {
        accept: "application/json",
        ...(body && { "content-type": "application/json", "content-length": body.length }),
        ...of.headers,
      },
    });
    request.once("error", reject);
    request.once("response", (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES)
          response.destroy(new Error(`answer of more than ${MAX_ANSWER_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.once("error", reject);
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, body: parse(Buffer.concat(chunks)) }),
      );
    });
    request.end(body);
  });
}

function parse(bytes: Buffer): unknown {
  const text = bytes.toString("utf8");
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
