import { spawn } from "node:child_process";
import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, beforeAll, beforeEach, describe, expect, type TestContext, test } from "vitest";
import { GraphSimulator } from "../simulators/graph/graph-simulator.ts";
import { openssl } from "./openssl-workshop.ts";

/** The import tool as a person runs it, against a simulated Microsoft Graph and files that OpenSSL made. */

const MAIN = resolve("cert-connector/src/main.ts");
const USERS = ["ada@example.com", "bob.o'neil@example.com", "eve@example.com"];
const APPLICATION = {
  tenantId: "11111111-2222-4333-8444-555555555555",
  clientId: "99999999-8888-4777-8666-555555555555",
  secret: "the~client.secret",
};

const folder = temporaryFolder();
const file = (...names: string[]) => join(folder.path, ...names);
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 3_072 });
let graph: GraphSimulator;

beforeAll(async () => {
  graph = await GraphSimulator.start(APPLICATION, USERS);
  mkdirSync(file("pfx"));
  writeFileSync(file("cloud-ca.pem"), graph.ca);
  writeFileSync(file("client-secret"), APPLICATION.secret, { mode: 0o600 });
  writeFileSync(file("import.pub.pem"), publicKey.export({ type: "spki", format: "pem" }));
  const { origin } = graph;
  const configuration = {
    stateFolder: "state",
    standalone: { desiredConfigurationFile: "desired.json" },
    ca: { folder: "ca", passphraseFile: "ca-passphrase" },
    tenants: {
      contoso: {
        tenantId: APPLICATION.tenantId,
        clientId: APPLICATION.clientId,
        credential: { kind: "secret", file: "client-secret" },
        hosts: { login: origin, graph: origin, intune: origin, allowed: ["localhost"] },
        caFile: "cloud-ca.pem",
      },
    },
  };
  writeFileSync(file("desired.json"), "{}");
  writeFileSync(file("weak"), "weak\n", { mode: 0o600 });
  writeFileSync(file("config.json"), JSON.stringify(configuration), { mode: 0o600 });
});
afterAll(async () => {
  await graph[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});
beforeEach(() => {
  graph.stored.clear();
  graph.asked.length = 0;
  graph.faults.length = 0;
  graph.violations.length = 0;
});

/** A mail certificate with its key as OpenSSL packs it; `options` go to its export. */
async function makePfx(context: TestContext, name: string, options: readonly string[] = []) {
  const [key, certificate] = [file("mail.key"), file("mail.pem")];
  const names = ["-subj", "/CN=Mail", "-addext", "extendedKeyUsage=emailProtection"];
  const usage = ["-addext", "keyUsage=keyEncipherment"];
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", key];
  await openssl(context, ...request, "-out", certificate, "-days", "30", ...names, ...usage);
  const identity = ["-inkey", key, "-in", certificate, "-passout", "pass:weak"];
  await openssl(context, "pkcs12", "-export", ...identity, "-out", file("pfx", name), ...options);
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...words: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, "pfx", "import", ...words]);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr += chunk));
  return new Promise((done) => child.on("close", (code) => done({ code, stdout, stderr })));
}

const toGraph = (...words: readonly string[]) =>
  run(
    ...["--config", file("config.json"), "--to-graph", "contoso"],
    ...["--public-key", file("import.pub.pem"), "--key-name", "mail"],
    ...["--provider", "Microsoft Software Key Storage Provider", ...words],
  );

const one = ["--password-file", file("weak"), "--upn", "ada@example.com"];

/** Opens a stored record as a connector does, with OpenSSL. */
async function opened(context: TestContext, record: Record<string, unknown>): Promise<string> {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const encrypted = Buffer.from(String(record["encryptedPfxPassword"]), "base64");
  const password = privateDecrypt({ key: privateKey, padding, oaepHash: "sha512" }, encrypted);
  writeFileSync(file("stored.pfx"), Buffer.from(String(record["encryptedPfxBlob"]), "base64"));
  const words = ["pkcs12", "-in", file("stored.pfx"), "-passin", `pass:${password}`];
  return await openssl(context, ...words, "-nodes", "-nocerts");
}

describe("an import to Microsoft Graph", () => {
  test("creates the record once, and changes it when it is imported again", async (context) => {
    await makePfx(context, "ada@example.com.pfx");
    const words = ["--file", file("pfx", "ada@example.com.pfx"), ...one];
    expect(await toGraph(...words)).toMatchObject({ code: 0 });
    const [[id, record] = ["", {}]] = [...graph.stored];
    expect(record).toMatchObject({
      userPrincipalName: "ada@example.com",
      intendedPurpose: "smimeEncryption",
      keyName: "mail",
      paddingScheme: "oaepSha512",
    });
    expect(id).toBe(`${graph.userId("ada@example.com")}-${record["thumbprint"]}`);
    const theirs = await openssl(context, "rsa", "-in", file("mail.key"), "-modulus", "-noout");
    writeFileSync(file("opened.key"), await opened(context, record));
    expect(await openssl(context, "rsa", "-in", file("opened.key"), "-modulus", "-noout")).toBe(
      theirs,
    );

    expect((await toGraph(...words)).code).toBe(0);
    expect(graph.stored.size).toBe(1);
    expect(graph.asked.at(-1)).toBe(`PATCH /beta/deviceManagement/userPfxCertificates('${id}')`);
    expect(graph.violations).toEqual([]);
  });

  test("waits as long as it is told, renews a token that is refused, and ends after ten", async (context) => {
    await makePfx(context, "ada@example.com.pfx");
    const words = ["--file", file("pfx", "ada@example.com.pfx"), ...one];
    const later = (headers: Record<string, string>) => ({ status: 429, headers });
    graph.faults.push(later({ "x-ms-retry-after-ms": "20" }), later({ "retry-after": "0" }));
    graph.faults.push({ status: 503, headers: { "retry-after": "0" } }, { status: 401 });
    const done = await toGraph(...words);
    expect(done).toMatchObject({ code: 0 });
    expect(done.stderr).toMatch(/wants us to wait 1 s/);
    expect(graph.asked).toHaveLength(5);

    graph.stored.clear();
    graph.faults.push(...Array.from({ length: 10 }, () => later({ "x-ms-retry-after-ms": "1" })));
    const busy = await toGraph(...words);
    expect(busy).toMatchObject({ code: 1 });
    expect(busy.stderr).toMatch(/too busy 10 times/);
    expect(graph.stored.size).toBe(0);
  });

  test("of a folder goes on where it stopped, and says what failed", async (context) => {
    for (const name of [...USERS, "nobody@example.com"]) await makePfx(context, `${name}.pfx`);
    writeFileSync(file("pfx", "eve@example.com.password"), "wrong", { mode: 0o600 });
    const report = file("report.jsonl");
    const words = ["--folder", file("pfx"), "--password-file", file("weak"), "--report", report];
    const first = await toGraph(...words);
    expect(first.code).toBe(1);
    expect(first.stdout).toMatch(/2 imported, 0 were done before, 2 failed, 0 not tried/);
    const entries = readFileSync(report, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const failed = entries.filter(({ state }) => state === "failed");
    expect(failed.map(({ error }) => error.code)).toEqual([
      "pkcs12-password",
      "pfx-import-refused",
    ]);
    expect(readFileSync(report, "utf8")).not.toMatch(/encryptedPfx|weak|wrong/);

    writeFileSync(file("pfx", "eve@example.com.password"), "weak", { mode: 0o600 });
    graph.asked.length = 0;
    const second = await toGraph(...words);
    expect(second.stdout).toMatch(/1 imported, 2 were done before, 1 failed, 0 not tried/);
    expect(graph.asked).toHaveLength(2);
    expect(graph.stored.size).toBe(3);
    expect(graph.violations).toEqual([]);
  });
});

test("a file with RC2, which our own reader leaves out, is imported", async (context) => {
  const legacy = ["-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-RC2-40"];
  await makePfx(context, "ada@example.com.pfx", legacy);
  const out = file("records.jsonl");
  const key = ["--public-key", file("import.pub.pem"), "--key-name", "mail", "--out", out];
  const words = ["--file", file("pfx", "ada@example.com.pfx"), ...one, ...key];
  expect(await run(...words)).toMatchObject({ code: 0 });
  const record = JSON.parse(readFileSync(out, "utf8").trim());
  expect(await opened(context, record)).toContain("BEGIN PRIVATE KEY");
  writeFileSync(file("other"), "wrong", { mode: 0o600 });
  const wrong = await run(...words.map((word) => (word === one[1] ? file("other") : word)));
  expect(wrong).toMatchObject({ code: 1 });
  expect(wrong.stderr).toMatch(/password does not fit/);
});

test("a PEM file in place of a PFX is called what it is", async () => {
  writeFileSync(file("mail.pem"), "-----BEGIN CERTIFICATE-----\n");
  const key = ["--public-key", file("import.pub.pem"), "--key-name", "mail", "--out", file("none")];
  const refused = await run("--file", file("mail.pem"), ...one, ...key);
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toMatch(/mail\.pem is PEM text, not PKCS#12/);
});
