import { openStore } from "@isthmus/shared/store/store";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import type { Intent } from "../core/ledger.ts";
import type { CertificateOperations } from "./operations.ts";

const NOON = Date.UTC(2026, 0, 1, 12);
const MINUTE_MS = 60_000;
const SERIAL = "0a";
const ENTRY = "CN=Ada,DC=corp,DC=test";

async function openTestStore() {
  const folder = temporaryFolder();
  const place = await newStorePlace(folder.path);
  const open = () =>
    openStore<CertificateOperations>({
      ...place,
      module: new URL("./operations.ts", import.meta.url),
    });
  let store = await open();
  return {
    intend: (changes: Partial<Intent> = {}) =>
      store.run("enrolmentIntent", { ...goodIntent, ...changes }),
    issue: () =>
      store.run("enrolmentIssued", {
        serialNumber: SERIAL,
        certificate: Buffer.from("certificate"),
        thumbprint: "00".repeat(32),
        at: NOON,
      }),
    revoke: (at = NOON) =>
      store.run("revokeCertificate", {
        serialNumber: SERIAL,
        reason: "keyCompromise",
        actor: "local",
        at,
      }),
    claim: (at = NOON) => store.run("claimPublications", { at, until: at + MINUTE_MS, limit: 10 }),
    done: (act: "add" | "remove", enrolmentId = 1) =>
      store.run("publicationDone", { enrolmentId, act, entryDn: ENTRY }),
    defer: (nextAt: number | undefined) =>
      store.run("publicationDeferred", { enrolmentId: 1, nextAt, message: "away" }),
    rows: () => store.query("SELECT * FROM directory_publication", [], 10),
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      store = await open();
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

const goodIntent: Intent = {
  profileId: "device",
  transactionId: "t",
  requestHash: Buffer.from("r"),
  frontDoor: "scep",
  authority: "embedded",
  issuerKeyId: "ab",
  issuer: "CN=CA",
  serialNumber: SERIAL,
  tbs: Buffer.from("tbs"),
  subject: "CN=device",
  notBefore: NOON,
  notAfter: NOON + 86_400_000,
  grant: { userPrincipalName: "ada@corp.test", subjectAltNames: [] },
  requesterKeyHash: Buffer.from("key"),
  maxPerHour: 100,
  window: undefined,
  publication: { directory: "ad", lookUp: "user" },
  at: NOON,
};

test("a certificate is due once it is issued, with what its account is found by, and past a restart", async () => {
  await using it = await openTestStore();
  await it.intend();
  expect(await it.claim()).toEqual([]);
  await it.issue();
  await it.reopen();
  expect(await it.claim()).toEqual([
    expect.objectContaining({
      act: "add",
      directory: "ad",
      lookUp: "user",
      serialNumber: SERIAL,
      attempts: 0,
      grant: { userPrincipalName: "ada@corp.test", subjectAltNames: [] },
    }),
  ]);
});

test("what is claimed is nobody else's until its time is over", async () => {
  await using it = await openTestStore();
  await it.intend();
  await it.issue();
  await it.claim();
  expect(await it.claim(NOON + MINUTE_MS - 1)).toEqual([]);
  expect(await it.claim(NOON + MINUTE_MS)).toMatchObject([{ attempts: 1 }]);
});

test("what is published is due again when it is revoked, and forgotten once it is off", async () => {
  await using it = await openTestStore();
  await it.intend();
  await it.issue();
  await it.claim();
  await it.done("add");
  expect(await it.claim(NOON + 2 * MINUTE_MS)).toEqual([]);
  await it.revoke(NOON + 2 * MINUTE_MS);
  const due = await it.claim(NOON + 2 * MINUTE_MS);
  expect(due).toMatchObject([{ act: "remove", entryDn: ENTRY }]);
  await it.done("remove");
  expect(await it.rows()).toEqual([]);
});

test("one that is revoked while it is being published is taken off afterwards", async () => {
  await using it = await openTestStore();
  await it.intend();
  await it.issue();
  await it.claim();
  await it.revoke();
  await it.done("add");
  expect(await it.claim()).toMatchObject([{ act: "remove", entryDn: ENTRY }]);
});

test("one that is not to be published leaves no trace, revoked or not", async () => {
  await using it = await openTestStore();
  await it.intend({ publication: undefined });
  await it.issue();
  await it.revoke();
  expect(await it.rows()).toEqual([]);
});

test("a failure is tried again at its time, or given up with its reason", async () => {
  await using it = await openTestStore();
  await it.intend();
  await it.issue();
  await it.claim();
  await it.defer(NOON + 5 * MINUTE_MS);
  expect(await it.claim(NOON + 4 * MINUTE_MS)).toEqual([]);
  expect(await it.claim(NOON + 5 * MINUTE_MS)).toHaveLength(1);
  await it.defer(undefined);
  expect(await it.claim(NOON + 3_600_000)).toEqual([]);
  expect(await it.rows()).toMatchObject([{ state: "failed", last_message: "away" }]);
});
