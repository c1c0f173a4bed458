import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const native = join(import.meta.dirname, "../../native");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dtls-front-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The native tests run these on the system's OpenSSL, with sanitizers; what counts is the one inside the node binary. */
test.each([
  ["clients reach the packet threads by what they were offered", "dtls-front.test.c"],
  ["strangers leave nothing behind and are bounded", "dtls-strangers.test.c"],
])("on the OpenSSL of node, DTLS %s", async (_, name) => {
  const program = join(native, "test", name);
  const addon = join(folder, `${name}.node`);
  const text = await readFile(program, "utf8");
  const sources = /^\/\/ sources: (.*)$/m.exec(text)?.[1]?.split(" ") ?? [];
  await run(process.env["CC"] ?? "cc", [
    ..."-std=gnu11 -O1 -D_GNU_SOURCE -shared -fPIC -fvisibility=hidden".split(" "),
    ...["-I", join(native, "src"), "-o", addon, program],
    ...sources.map((source) => join(native, "src", source)),
  ]);
  const load = `process.dlopen({ exports: {} }, ${JSON.stringify(addon)})`;
  const { stdout } = await run(process.execPath, ["-e", load]);
  expect(stdout).toMatch(/^OpenSSL 3\.5/);
  expect(stdout).toMatch(/\nall \d+ hold\n$/);
});
