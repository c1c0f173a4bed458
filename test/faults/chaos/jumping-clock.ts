import { readFileSync } from "node:fs";

/**
 * Preloaded (`--import`) into a service: its wall clock is off by as many ms as the file says that is named in the environment, which may
 * change while it runs. Timers and monotonic clocks stay as they are, as they do when a machine's clock is set.
 */

const FILE = process.env["ISTHMUS_CHAOS_CLOCK"];
const LOOK_MS = 200;

if (FILE !== undefined) follow(FILE);

function follow(file: string): void {
  let offset = read(file);
  setInterval(() => {
    offset = read(file);
  }, LOOK_MS).unref();
  const RealDate = Date;
  const now = () => RealDate.now() + offset;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, values: [], newTarget) =>
      Reflect.construct(target, values.length === 0 ? [now()] : values, newTarget) as Date,
    apply: () => new RealDate(now()).toString(),
    get: (target, key, receiver) => (key === "now" ? now : Reflect.get(target, key, receiver)),
  });
}

function read(file: string): number {
  try {
    return Number(readFileSync(file, "utf8")) || 0;
  } catch {
    return 0;
  }
}
