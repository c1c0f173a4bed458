import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { ConfigurationError } from "../errors.ts";
import { testCertificate } from "../testing/certificate-authority.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { derToPem } from "../x509/pem.ts";
import { loadConfiguration } from "./configuration.ts";
import {
  addressKey,
  authorityFileKey,
  fileKey,
  pathKey,
  portKey,
  secretFileKey,
} from "./configuration-keys.ts";

const schema = z.strictObject({
  stateFolder: pathKey(),
  certificateFile: fileKey().optional(),
  secretFile: secretFileKey().optional(),
  caFile: authorityFileKey().optional(),
  listen: z.strictObject({ address: addressKey(), port: portKey() }),
  mode: z.union([z.literal("a"), z.strictObject({ b: z.number() })]).default("a"),
});
const good = { stateFolder: "state", listen: { address: "127.0.0.1", port: 8081 } };

function load(folder: string, content: unknown) {
  const file = join(folder, "config.json");
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return loadConfiguration(schema, file);
}

function faultsOf(folder: string, content: unknown): readonly string[] {
  try {
    load(folder, content);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as ConfigurationError).faults;
  }
  return [];
}

test("relative paths are relative to the file, absolute ones stay", () => {
  using folder = temporaryFolder();
  expect(load(folder.path, good).stateFolder).toBe(join(folder.path, "state"));
  expect(load(folder.path, { ...good, stateFolder: "/var/lib/x" }).stateFolder).toBe("/var/lib/x");
});

test("every fault is reported with its key in one error", () => {
  using folder = temporaryFolder();
  const faults = faultsOf(folder.path, {
    certificateFile: "none.pem",
    listen: { address: "localhost", port: 65_536, extra: 1 },
    mode: "c",
    colour: "red",
    shape: "round",
  });
  expect([...faults].sort()).toEqual([
    `certificateFile: there is no file ${join(folder.path, "none.pem")}`,
    "colour: unknown key",
    "listen.address: is no IP address",
    "listen.extra: unknown key",
    "listen.port: Too big: expected number to be <=65535",
    "mode: fits none of the allowed forms",
    "shape: unknown key",
    "stateFolder: is missing, expected string",
  ]);
});

test("an unknown key is told with the key that was probably meant, unless that is there", () => {
  using folder = temporaryFolder();
  const listen = { address: "127.0.0.1", prt: 8081 };
  expect(
    [...faultsOf(folder.path, { ...good, listen, stateFoldr: "x", caFiel: "y" })].sort(),
  ).toEqual([
    "caFiel: unknown key; did you mean caFile?",
    "listen.port: is missing, expected number",
    "listen.prt: unknown key; did you mean port?",
    "stateFoldr: unknown key",
  ]);
});

test("at most 100 faults are told, and how many more there are", () => {
  using folder = temporaryFolder();
  const wrong = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`stray-${at}`, 1]));
  expect(faultsOf(folder.path, { ...good, ...wrong(99) })).toHaveLength(99);
  expect(faultsOf(folder.path, { ...good, ...wrong(100) }).at(-1)).toBe("stray-99: unknown key");
  const { length, [100]: last } = faultsOf(folder.path, { ...good, ...wrong(101), stateFolder: 1 });
  expect([length, last]).toEqual([101, "and 2 more"]);
});

test("the message names the file and each fault", () => {
  using folder = temporaryFolder();
  expect(() => load(folder.path, { ...good, colour: 1 })).toThrow(
    `${join(folder.path, "config.json")} has 1 fault:\n  colour: unknown key`,
  );
});

test.each([
  [0o600, 0],
  [0o640, 0],
  [0o400, 0],
  [0o604, 1],
  [0o620, 1],
  [0o644, 1],
])("a secret with mode %o has %i faults", (mode, count) => {
  using folder = temporaryFolder();
  const secret = join(folder.path, "secret");
  writeFileSync(secret, "s3cret");
  chmodSync(secret, mode);
  const faults = faultsOf(folder.path, { ...good, secretFile: "secret" });
  expect(faults).toHaveLength(count);
  expect(faults.join()).not.toContain("s3cret");
});

test("a file of authorities has to hold certificates in PEM; where it holds DER, the fault says how to turn it", async () => {
  using folder = temporaryFolder();
  const { certificate } = await testCertificate();
  const pem = derToPem(certificate.der, "CERTIFICATE");
  const faultsWith = (content: string | Uint8Array) => {
    writeFileSync(join(folder.path, "ca.pem"), content);
    return faultsOf(folder.path, { ...good, caFile: "ca.pem" }).join();
  };
  expect(faultsWith(pem)).toBe("");
  expect(faultsWith(`# two of them\r\n${pem}${pem}`)).toBe("");
  expect(faultsWith(certificate.der)).toMatch(/holds DER, and PEM is expected: openssl x509/);
  expect(faultsWith("{}")).toMatch(/^caFile: .*no CERTIFICATE block/);
  expect(faultsWith(pem + derToPem(Buffer.alloc(9), "CERTIFICATE"))).toMatch(
    /cannot be read as certificates/,
  );
});

test("a folder where a file is wanted is a fault", () => {
  using folder = temporaryFolder();
  mkdirSync(join(folder.path, "sub"));
  expect(faultsOf(folder.path, { ...good, certificateFile: "sub" })).toEqual([
    `certificateFile: ${join(folder.path, "sub")} is no regular file`,
  ]);
});

test("broken JSON, a missing file and one too large are faults of the file", () => {
  using folder = temporaryFolder();
  expect(faultsOf(folder.path, "{")[0]).toMatch(/^the file is not JSON/);
  expect(faultsOf(folder.path, " ".repeat(4_194_305))[0]).toMatch(/4194305 bytes/);
  expect(faultsOf(folder.path, `${" ".repeat(4_194_303)}{`)[0]).toMatch(/^the file is not JSON/);
  expect(() => loadConfiguration(schema, join(folder.path, "none"))).toThrow(/cannot be read/);
});

test("more than 100 faults are counted, not listed", () => {
  using folder = temporaryFolder();
  const many = Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`key${n}`, n]));
  const faults = faultsOf(folder.path, { ...good, ...many });
  expect(faults).toHaveLength(101);
  expect(faults.at(-1)).toBe("and 50 more");
});
