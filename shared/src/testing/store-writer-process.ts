import { openStore } from "../store/store.ts";
import type { operations } from "./counter-store.ts";

/**
 * A process that adds entries from argv[3] on until it is killed, several in flight, and prints the number of each one
 * that was acknowledged.
 */
const [, , file = "", first = "0"] = process.argv;
const store = await openStore<typeof operations>({
  file,
  module: new URL("./counter-store.ts", import.meta.url),
});
let next = Number(first);

async function addForever(): Promise<void> {
  for (;;) {
    const n = await store.run("add", { n: next++, text: "x".repeat(200) });
    process.stdout.write(`${n}\n`);
  }
}

await Promise.all(Array.from({ length: 20 }, addForever));
