import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { ConnectorError } from "@isthmus/shared/errors";
import type { PfxSettings } from "../core/profile.ts";

const generate = promisify(generateKeyPair);

/** Our own limits: a key costs a thread of libuv's pool 100 ms to a second; others need the pool too. */
const AT_ONCE = 2;
const MAX_WAITING = 200;

/**
 * Makes RSA keys for devices, off the main thread, two at a time. Throws ConnectorError `keys-busy` (retryable) when 200
 * wait already.
 */
export function deviceKeys(
  maxWaiting = MAX_WAITING,
): (type: PfxSettings["keyType"], signal?: AbortSignal) => Promise<KeyObject> {
  let running = 0;
  const waiting: (() => void)[] = [];
  const release = () => {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  };
  return async (type, signal) => {
    if (running < AT_ONCE) running += 1;
    else if (waiting.length >= maxWaiting) {
      const message = `${maxWaiting} keys wait to be made already`;
      throw new ConnectorError("keys-busy", message, { isRetryable: true });
    } else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      signal?.throwIfAborted();
      const modulusLength = type === "rsa-3072" ? 3_072 : 2_048;
      return (await generate("rsa", { modulusLength })).privateKey;
    } finally {
      release();
    }
  };
}
