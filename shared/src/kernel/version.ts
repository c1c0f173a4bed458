import { readFileSync } from "node:fs";

/** The version of the suite: all its packages carry the same. */
export const SUITE_VERSION: string = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
).version;
