import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const native = join(import.meta.dirname, "../../native");
const program = join(native, "test/dtls-front.test.c");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dtls-front-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The native tests run it on the system's OpenSSL, with sanitizers; what counts is the one inside the node binary. */
test("DTLS clients reach the packet threads by key or by resumption, on the OpenSSL of node, and nobody else does", async () => {
  const addon = join(folder, "dtls-front.node");
  const sources =
    /^\/\/ sources: (.*)$/m.exec(await readFile(program, "utf8"))?.[1]?.split(" ") ?? [];
  await run(process.env.CC ?? "cc", [
    ..."-std=gnu11 -O1 -D_GNU_SOURCE -DNAPI_VERSION=9 -shared -fPIC -fvisibility=hidden".split(" "),
    ...["-I", join(native, "src"), "-o", addon, program],
    ...sources.map((source) => join(native, "src", source)),
  ]);
  const load = `process.dlopen({ exports: {} }, ${JSON.stringify(addon)})`;
  const { stdout } = await run(process.execPath, ["-e", load]);
  expect(stdout).toMatch(/^OpenSSL 3\.5/);
  expect(stdout).toMatch(/\nall \d+ hold\n$/);
});
