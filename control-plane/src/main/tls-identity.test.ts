import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { caSha256, tlsIdentity } from "./tls-identity.ts";

const DAY_MS = 86_400_000;
const clock = new FakeClock();
let folder: ReturnType<typeof temporaryFolder>;

beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder[Symbol.dispose]());

const identity = (names = ["localhost", "127.0.0.1", "::1"], tls = {}) =>
  tlsIdentity({ tls: { names, ...tls }, stateFolder: folder.path, clock, random: systemRandom });

test("the first start makes a CA and a certificate that follows from it, for every name", async () => {
  const { certificatePem, caPem = "" } = await identity();
  const [leaf, ca] = [new X509Certificate(certificatePem), new X509Certificate(caPem)];
  expect(leaf.verify(ca.publicKey)).toBe(true);
  expect(leaf.checkIssued(ca)).toBe(true);
  expect(leaf.checkHost("localhost")).toBe("localhost");
  expect(leaf.checkIP("127.0.0.1")).toBe("127.0.0.1");
  expect(leaf.checkIP("::1")).toBe("::1");
  expect(leaf.checkHost("example.com")).toBeUndefined();
  expect(caSha256(caPem)).toBe(ca.fingerprint256.replaceAll(":", "").toLowerCase());
  expect(readFileSync(join(folder.path, "ca.pem"), "utf8")).toBe(caPem);
});

test("keys are for this user alone", async () => {
  await identity();
  for (const name of ["ca-key.pem", "tls.pem"]) {
    expect(statSync(join(folder.path, name)).mode & 0o777).toBe(0o600);
  }
});

describe("a further start", () => {
  test("keeps the CA and the certificate", async () => {
    const first = await identity();
    expect(await identity()).toEqual(first);
  });

  test.each([
    [59, true],
    [61, false],
  ])(
    "after %i of 90 days keeps the certificate: %s, and the CA in any case",
    async (days, isKept) => {
      const first = await identity();
      clock.advance(days * DAY_MS);
      const second = await identity();
      expect(second.certificatePem === first.certificatePem).toBe(isKept);
      expect(second.caPem).toBe(first.caPem);
      expect(second.notAfter).toBeGreaterThan(clock.now() + 30 * DAY_MS);
    },
  );

  test("with a further name makes another certificate by the same CA", async () => {
    const first = await identity();
    const second = await identity(["localhost", "cloud.example.com"]);
    expect(new X509Certificate(second.certificatePem).checkHost("cloud.example.com")).toBeDefined();
    expect(second.caPem).toBe(first.caPem);
  });
});

test("configured files are taken as they are, and no CA is told where none is configured", async () => {
  const own = await identity();
  const file = join(folder.path, "tls.pem");
  const configured = await identity([], { certificateFile: file, keyFile: file });
  expect(configured.caPem).toBeUndefined();
  expect(configured.notAfter).toBe(own.notAfter);
  expect(configured.names).toEqual(["localhost", "127.0.0.1", "::1"]);
});
