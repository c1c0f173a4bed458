import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";

const SOURCE = readFileSync(new URL("../../native/src/openssl-api.h", import.meta.url), "utf8");
/** Where the headers lie that come with a node binary, of the very OpenSSL that it exports; the npm package keeps its own. */
const PLACES = ["../include/node", `../node_modules/node-linux-${process.arch}/include/node`];
const INCLUDE = PLACES.map((place) => join(dirname(process.execPath), place)).find((place) =>
  existsSync(join(place, "openssl", "ssl.h")),
);

const hasCompiler = spawnSync("cc", ["--version"]).status === 0;
const isLacking = !hasCompiler || INCLUDE === undefined;
if (isLacking && process.env["CI"] === "true")
  throw new Error("With CI=true nothing is skipped: no C compiler, or no headers of this Node");

/** Our declarations behind the real ones: the compiler refuses what differs. */
function comparison(source: string): string {
  const lines = source.split("\n");
  const constants = [...source.matchAll(/^#define (\w+) (.+)$/gm)].map(
    ([, name, value]) =>
      `_Static_assert((long long)${name} == (long long)(${value}), "${name} differs");`,
  );
  return [
    "#define OPENSSL_SUPPRESS_DEPRECATED",
    ...["ssl", "err", "rand", "hmac", "evp", "pem"].map((name) => `#include <openssl/${name}.h>`),
    ...constants,
    ...lines.filter((line) => !line.startsWith("#")),
  ].join("\n");
}

function compile(source: string) {
  const flags = ["-std=gnu11", "-fsyntax-only", "-I", INCLUDE ?? "", "-x", "c", "-"];
  return spawnSync("cc", flags, {
    input: comparison(source),
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
}

describe.skipIf(isLacking)("openssl-api.h", () => {
  test("declares what the OpenSSL of this Node declares, with the same values", () => {
    expect(compile(SOURCE).stderr).toBe("");
  });

  test("would be refused with another value, or another prototype", () => {
    const value = SOURCE.replace("SSL_VERIFY_PEER 1", "SSL_VERIFY_PEER 2");
    expect(compile(value).stderr).toContain("SSL_VERIFY_PEER differs");
    const prototype = SOURCE.replace("int SSL_accept(SSL *ssl)", "long SSL_accept(SSL *ssl)");
    expect(compile(prototype).stderr).toContain("conflicting types for 'SSL_accept'");
  });
});
