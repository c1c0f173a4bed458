import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The codes that the API answers about devices, sites and actions, and the page that explains them. */

const page = new URL("../../../docs/comgmt-bridge/errors.md", import.meta.url);
const [, section = ""] = readFileSync(page, "utf8").split("## Answers of the API");
const root = fileURLToPath(new URL("../", import.meta.url));

/** Files that answer such requests; what bridges tell is refused elsewhere, and nobody is answered. */
const FILES =
  /^(graph|store|core)\/.*(site-|recovery-key|device-|record-ids|exports|follow-query|query-rows|client-operations)/;
const THROWN = /(?:Error|refuseSynced)\((?:transaction, id,)?\s*"([a-z]+(?:-[a-z0-9]+)+)"/g;

function thrownCodes(): string[] {
  const files = globSync("**/*.ts", { cwd: root }).filter(
    (file) => FILES.test(file) && !/\.(test|fuzz)\.ts$/.test(file),
  );
  expect(files.length).toBeGreaterThan(15);
  const codes = files.flatMap((file) =>
    [...readFileSync(root + file, "utf8").matchAll(THROWN)].map(([, code = ""]) => code),
  );
  return [...new Set(codes)].sort();
}

test("each code has one entry with what to do, and each entry is a code", () => {
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  const documented = rows.flatMap((row) => {
    const [, first = "", what = "", remedy = ""] = row.split("|").map((cell) => cell.trim());
    expect([first, what.length > 3, remedy.length > 3]).toEqual([first, true, true]);
    return [...first.matchAll(/`([a-z-]+)`/g)].map(([, code = ""]) => code);
  });
  expect(documented.toSorted()).toEqual(thrownCodes());
});
