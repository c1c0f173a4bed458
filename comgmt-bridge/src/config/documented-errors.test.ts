import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The page of all error codes, and the source that throws them. */

const docs = new URL("../../../docs/comgmt-bridge/", import.meta.url);
/** What stands behind that heading are codes of the control plane. */
const [page = ""] = readFileSync(new URL("errors.md", docs), "utf8").split("## Answers of the API");
const guide = readFileSync(new URL("guide.md", docs), "utf8");
const root = fileURLToPath(new URL("../", import.meta.url));
const shared = fileURLToPath(new URL("../../../shared/src/", import.meta.url));

/** Words of the source in the form of a code that are none. Migrations have names of their own. */
const NO_CODES = new Set([
  // Kinds of records and sources, states, steps.
  ...["active-directory", "boundary-group", "software-update", "custom-properties"],
  ...["client-events", "groups-stale"],
  ...["full-read", "given-up", "half-open", "lease-wanted", "looked-into"],
  ...["looked-up", "not-run", "passed-over", "cmpivot-result", "site-actions-open"],
  // Health checks, limits, news.
  ...["cloud-certificate", "site-authentication", "site-clock", "site-tls", "site-token-renewed"],
  ...["site-devices-described", "site-devices-installed", "site-devices-notified"],
  ...["site-devices-queried", "site-devices-restarted", "site-devices-scripted"],
  "site-recovery-keys",
  // Modules of stores, packages, algorithms, HTTP.
  ...["bridge-client-events", "bridge-cursors", "comgmt-bridge"],
  ...["fast-xml-parser", "prom-client", "aes-128-gcm", "utf-8"],
  ...["chunk-end", "chunk-size", "content-length", "keep-alive", "retry-after", "to-end"],
  ...["transfer-encoding", "www-authenticate"],
]);

const LITERAL = /"([a-z][a-z0-9]*(?:-[a-z0-9]+)+)"/g;

/** Words in the form of a code, with those that are none. */
function wordsBelow(folder: string): string[] {
  const files = globSync("**/*.ts", { cwd: folder }).filter(
    (file) => !/\.(test|fuzz)\.ts$|-migrations\.ts$|^testing\//.test(file),
  );
  expect(files.length).toBeGreaterThan(100);
  const words = files.flatMap((file) =>
    [...readFileSync(folder + file, "utf8").matchAll(LITERAL)].map(([, word = ""]) => word),
  );
  return [...new Set(words)];
}

/** Codes in the first cell of each row of a page's tables. */
function rowsOf(text: string): readonly (readonly [codes: readonly string[], cells: string[]])[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => {
      const [, first = "", ...rest] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
      return [
        [...first.matchAll(/`([a-z][a-z0-9]*(?:-[a-z0-9]+)+)`/g)].map(([, code = ""]) => code),
        rest,
      ];
    });
}

test("each code of the bridge has one entry, and each entry is a code that the bridge has", () => {
  const documented = rowsOf(page).flatMap(([codes]) => codes);
  const own = wordsBelow(root).filter((word) => !NO_CODES.has(word));
  // A new word here is a code without an entry in docs/comgmt-bridge/errors.md, or belongs to NO_CODES.
  expect(own.filter((code) => !documented.includes(code))).toEqual([]);
  expect(documented.filter((code, at) => documented.indexOf(code) !== at)).toEqual([]);
  // Some that a bridge shows are thrown by what all services share.
  const thrown = new Set([...own, ...wordsBelow(shared)]);
  expect(documented.filter((code) => !thrown.has(code))).toEqual([]);
});

test("each entry says what happened and what to do", () => {
  for (const [codes, [what = "", remedy = ""]] of rowsOf(page)) {
    expect([codes, what.length > 3, remedy.length > 3]).toEqual([codes, true, true]);
  }
});

test("what the guide explains is explained on the page of all codes, too", () => {
  const known = new Set(rowsOf(page).flatMap(([codes]) => codes));
  const explained = guide.slice(guide.indexOf("## 8."));
  const codes = rowsOf(explained).flatMap(([each]) => each);
  expect(codes.length).toBeGreaterThan(15);
  expect(codes.filter((code) => !known.has(code))).toEqual([]);
});

test("none of the words that are no codes is left over", () => {
  const used = globSync("**/*.ts", { cwd: root })
    .filter((file) => !file.endsWith(".test.ts"))
    .map((file) => readFileSync(root + file, "utf8"))
    .join("\n");
  expect([...NO_CODES].filter((word) => !used.includes(`"${word}"`))).toEqual([]);
});
