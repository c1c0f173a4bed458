import { once } from "node:events";
import type { Response } from "express";
import type { ApiStream } from "../core/api-operations.ts";

/** A client that takes nothing for this long is gone, or as good as that. */
const STALLED_MS = 60_000;

/**
 * Sends an answer piece by piece, as fast as the client takes it. What goes wrong before the first piece is thrown and so becomes an
 * error answer; after it the connection is cut, which tells the client that something is missing. So it is where whoever asked is signed in no
 * more: `mayGoOn` is asked before each piece but the first.
 */
export async function sendStream(
  response: Response,
  status: number,
  stream: ApiStream,
  { signal, mayGoOn }: { readonly signal: AbortSignal; readonly mayGoOn: () => Promise<boolean> },
): Promise<void> {
  const chunks = stream.chunks[Symbol.asyncIterator]();
  let next = await chunks.next();
  response.status(status).set({ ...stream.headers, "content-type": stream.contentType });
  try {
    while (next.done !== true && !signal.aborted) {
      if (!response.write(next.value)) await drained(response, signal);
      next = await chunks.next();
      if (next.done !== true && !(await mayGoOn())) {
        response.destroy();
        return;
      }
    }
    response.end();
  } catch (error) {
    response.destroy();
    if (!signal.aborted) throw error;
  } finally {
    await chunks.return?.();
  }
}

async function drained(response: Response, signal: AbortSignal): Promise<void> {
  await once(response, "drain", {
    signal: AbortSignal.any([signal, AbortSignal.timeout(STALLED_MS)]),
  });
}
