import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below what Linux hands out by itself (32,768 to 60,999): a port from there may be another program's a moment later, as the
 * near end of any connection or for a listener that takes any port.
 */
const FIRST = 15_000;
const BEHIND_LAST = 32_000;
const ATTEMPTS = 100;

/** A port of 127.0.0.1 that nobody listens on, for programs that cannot take port 0. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(FIRST, BEHIND_LAST);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port among ${ATTEMPTS} from ${FIRST} to ${BEHIND_LAST - 1}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
