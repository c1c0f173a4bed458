import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { systemClock } from "@isthmus/shared/clock";
import { verifyJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { frameMessage, MessageReader } from "../protocol/length-prefixed.ts";
import { SignedLog, verifySignedLog } from "./signed-log.ts";
import { SignerClient } from "./signer-client.ts";
import { SignerServer } from "./signer-server.ts";

const log = pino({ level: "silent" });
const head = { aud: "connector-1", index: 7, hash: "ab".repeat(32), receivedAt: 1 };
const challenge = {
  jti: "j1",
  aud: "any",
  profileId: "p",
  deviceId: "d",
  subject: "CN=d",
  subjectAltNames: [],
  iat: 0,
  exp: 60_000,
};

function signerIn(stateFolder: string): Promise<SignerServer> {
  return SignerServer.start({
    stateFolder,
    socket: join(stateFolder, "s"),
    clock: systemClock,
    log,
  });
}

test("what it signs verifies with the tenant key it names, under the statement's own type", async () => {
  using folder = temporaryFolder();
  await using _signer = await signerIn(folder.path);
  using client = new SignerClient(join(folder.path, "s"));
  const key = await client.tenantKey();
  const jws = await client.signAuditHead(head);
  expect(await verifyJws(jws, JWS_TYPES.auditHead, [key])).toEqual(head);
  await expect(verifyJws(jws, JWS_TYPES.command, [key])).rejects.toThrow();
});

test("it has the same key, the same memory and an unbroken log after a restart", async () => {
  using folder = temporaryFolder();
  using client = new SignerClient(join(folder.path, "s"));
  const before = await signerIn(folder.path);
  const key = await client.tenantKey();
  const first = await client.signChallenge(challenge);
  await before[Symbol.asyncDispose]();
  await expect(client.tenantKey()).rejects.toMatchObject({
    code: "signer-unreachable",
    isRetryable: true,
  });
  await using _after = await signerIn(folder.path);
  expect(await client.tenantKey()).toEqual(key);
  expect(await client.signChallenge(challenge)).toBe(first);
  await expect(client.signChallenge({ ...challenge, deviceId: "e" })).rejects.toMatchObject({
    code: "statement-conflict",
    rule: "one statement for each name",
  });
  expect(await verifySignedLog(folder.path)).toEqual({ lines: 2 });
});

test("of two different statements of one name asked at once, one alone is signed", async () => {
  using folder = temporaryFolder();
  await using _signer = await signerIn(folder.path);
  using client = new SignerClient(join(folder.path, "s"));
  const outcomes = await Promise.allSettled([
    client.signChallenge(challenge),
    client.signChallenge({ ...challenge, deviceId: "e" }),
  ]);
  expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", "rejected"]);
});

test("many requests at once are all signed and share their writes", async () => {
  using folder = temporaryFolder();
  await using _signer = await signerIn(folder.path);
  using client = new SignerClient(join(folder.path, "s"));
  const heads = Array.from({ length: 300 }, (_, index) => ({ ...head, index }));
  const signed = await Promise.all(heads.map((each) => client.signAuditHead(each)));
  expect(new Set(signed).size).toBe(300);
  expect(await verifySignedLog(folder.path)).toEqual({ lines: 300 });
});

describe("a rotation", () => {
  test("announces the next key by the one before; completed, the next signs, after a restart too", async () => {
    using folder = temporaryFolder();
    using client = new SignerClient(join(folder.path, "s"));
    const before = await signerIn(folder.path);
    const old = await client.tenantKey();
    const { jws, tenantKey } = await client.prepareRotation();
    expect(await verifyJws(jws, JWS_TYPES.trust, [old])).toMatchObject({ tenantKey });
    expect(await client.tenantKey()).toEqual(old);
    await client.completeRotation(tenantKey);
    await client.completeRotation(tenantKey);
    const signed = await client.signAuditHead(head);
    expect(await verifyJws(signed, JWS_TYPES.auditHead, [tenantKey])).toEqual(head);
    await before[Symbol.asyncDispose]();
    await using _after = await signerIn(folder.path);
    expect(await client.tenantKey()).toEqual(tenantKey);
    expect((await client.prepareRotation()).tenantKey).not.toEqual(tenantKey);
  });

  test("begun and not completed goes on with the same key, after a restart too", async () => {
    using folder = temporaryFolder();
    using client = new SignerClient(join(folder.path, "s"));
    const before = await signerIn(folder.path);
    const first = await client.prepareRotation();
    await before[Symbol.asyncDispose]();
    await using _after = await signerIn(folder.path);
    expect((await client.prepareRotation()).tenantKey).toEqual(first.tenantKey);
  });

  test("to a key that was not prepared is refused", async () => {
    using folder = temporaryFolder();
    await using _signer = await signerIn(folder.path);
    using client = new SignerClient(join(folder.path, "s"));
    const key = await client.tenantKey();
    const other = { ...key, x: "A".repeat(43) };
    await expect(client.completeRotation(other)).rejects.toMatchObject({
      code: "rotation-unknown",
    });
    expect(await client.tenantKey()).toEqual(key);
  });
});

test("files and socket are for its own user alone", async () => {
  using folder = temporaryFolder();
  await using _signer = await signerIn(folder.path);
  for (const name of readdirSync(folder.path)) {
    expect([name, statSync(join(folder.path, name)).mode & 0o077]).toEqual([name, 0]);
  }
});

test("a second signer on the same socket is refused, a socket left by a dead one is taken over", async () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "s"), "");
  await using _signer = await signerIn(folder.path);
  await expect(signerIn(folder.path)).rejects.toMatchObject({ code: "signer-in-use" });
});

describe("anything else than a typed request is refused", () => {
  test.each([
    [{ type: "sign", id: 5, kind: "trust", statement: {} }, "signer-request"],
    [{ type: "sign-bytes", id: 5, bytes: "AAAA" }, "signer-request"],
    [{ type: "prepareRotation", id: 5, key: "mine" }, "signer-request"],
    [{ type: "sign", id: 5, kind: "command", statement: { id: "x" } }, "statement-invalid"],
  ])("%j", async (request, code) => {
    using folder = temporaryFolder();
    await using _signer = await signerIn(folder.path);
    expect(await exchange(join(folder.path, "s"), frameMessage(request))).toMatchObject({
      ok: false,
      id: 5,
      code,
    });
    expect(await verifySignedLog(folder.path)).toEqual({ lines: 0 });
  });

  test("bytes that are no message", async () => {
    using folder = temporaryFolder();
    await using _signer = await signerIn(folder.path);
    const answer = await exchange(join(folder.path, "s"), Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    expect(answer).toMatchObject({ ok: false, code: "message-too-large" });
  });
});

describe("the log", () => {
  async function logOfThree(folder: string): Promise<string> {
    await using _signer = await signerIn(folder);
    using client = new SignerClient(join(folder, "s"));
    for (const index of [1, 2, 3]) await client.signAuditHead({ ...head, index });
    return join(folder, "signed-000001.jsonl");
  }

  test("a line that a crash left unfinished is cut off", async () => {
    using folder = temporaryFolder();
    const file = await logOfThree(folder.path);
    appendFileSync(file, '{"index":3,"at":1,');
    await using _signer = await signerIn(folder.path);
    expect(await verifySignedLog(folder.path)).toEqual({ lines: 3 });
  });

  test("goes on in another file when one is full, chained across them and read back from the last two", async () => {
    using folder = temporaryFolder();
    const written: string[] = [];
    const entry = (n: number) => ({ at: n, kind: "test", names: [`n${n}`], statementHash: "h" });
    for (const start of [0, 4]) {
      await using log = await SignedLog.open(folder.path, () => {}, 500);
      for (let n = start; n < start + 4; n++) await log.append(entry(n));
    }
    await using _log = await SignedLog.open(
      folder.path,
      ({ names }) => written.push(...names),
      500,
    );
    expect(readdirSync(folder.path).length).toBeGreaterThan(2);
    expect(written.length).toBeGreaterThan(1);
    expect(written).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((n) => `n${n}`).slice(-written.length));
    expect(await verifySignedLog(folder.path)).toEqual({ lines: 8 });
  });

  test.each([
    ["changed", (text: string) => text.replace('"kind":"auditHead"', '"kind":"challenge"')],
    ["removed", (text: string) => text.slice(text.indexOf("\n") + 1)],
    [
      "put in another order",
      (text: string) => text.trimEnd().split("\n").reverse().concat("").join("\n"),
    ],
  ])("a line that was %s is found", async (_how, change) => {
    using folder = temporaryFolder();
    const file = await logOfThree(folder.path);
    writeFileSync(file, change(readFileSync(file, "utf8")));
    await expect(verifySignedLog(folder.path)).rejects.toMatchObject({ code: "signed-log-broken" });
  });
});

function exchange(path: string, bytes: Buffer): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const reader = new MessageReader();
    const socket = connect(path, () => socket.write(bytes));
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      for (const message of reader.push(chunk)) {
        resolve(message);
        socket.destroy();
      }
    });
  });
}

test("a socket path longer than a socket address works", async () => {
  using folder = temporaryFolder();
  const deep = join(folder.path, "d".repeat(100));
  await using _signer = await signerIn(deep);
  using client = new SignerClient(join(deep, "s"));
  expect(await client.tenantKey()).toMatchObject({ crv: "Ed25519" });
});

test("a client without a signer fails at once and can be told from a refusal", async () => {
  using folder = temporaryFolder();
  for (const path of [join(folder.path, "s"), join(folder.path, "d".repeat(120), "s")]) {
    using client = new SignerClient(path);
    await expect(client.tenantKey()).rejects.toMatchObject({ code: "signer-unreachable" });
  }
});
