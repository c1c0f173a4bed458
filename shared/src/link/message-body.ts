import type { IncomingMessage } from "node:http";
import { ConnectorError } from "../errors.ts";

/** The whole body of an HTTP message. Throws ConnectorError with `code` once it is longer than `maxBytes`. */
export async function wholeBody(
  message: IncomingMessage,
  { maxBytes, code }: { readonly maxBytes: number; readonly code: string },
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > maxBytes) {
      throw new ConnectorError(code, `the body exceeds ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
