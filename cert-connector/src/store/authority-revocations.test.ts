import { openStore } from "@isthmus/shared/store/store";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import type { Intent } from "../core/ledger.ts";
import type { CertificateOperations } from "./operations.ts";

const NOON = Date.UTC(2026, 0, 1, 12);
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

async function openTestStore() {
  const folder = temporaryFolder();
  const store = await openStore<CertificateOperations>({
    ...(await newStorePlace(folder.path)),
    module: new URL("./operations.ts", import.meta.url),
  });
  const audited = async () => {
    const rows = await store.query<{ event: string }>(
      "SELECT event FROM audit_journal ORDER BY idx",
      [],
      100,
    );
    return rows.map(({ event }) => event).filter((event) => event.startsWith("authority."));
  };
  const claim = (at: number, limit = 10) =>
    store.run("claimAuthorityRevocations", { at, until: at + MINUTE_MS, limit });
  return {
    ...{ store, audited, claim },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}
type TestStore = Awaited<ReturnType<typeof openTestStore>>;

/** An intent for the authority `elsewhere`, in the ledger. */
async function intended({ store }: TestStore, serialNumber: string): Promise<Intent> {
  const intent: Intent = {
    profileId: "device",
    transactionId: serialNumber,
    requestHash: Buffer.from(serialNumber),
    frontDoor: "scep",
    authority: "elsewhere",
    issuerKeyId: "ab",
    issuer: "CN=CA",
    serialNumber,
    tbs: Buffer.from("tbs"),
    subject: "CN=device",
    notBefore: NOON,
    notAfter: NOON + 24 * HOUR_MS,
    grant: { subjectAltNames: [] },
    requesterKeyHash: Buffer.from("key"),
    maxPerHour: 100,
    window: undefined,
    at: NOON,
  };
  await store.run("enrolmentIntent", intent);
  return intent;
}

/** A certificate of `elsewhere` with the number `ff` and the planned one, revoked in the ledger. */
async function revoked(it: TestStore, planned = "0a", serialNumber = "ff"): Promise<void> {
  const { issuerKeyId, issuer, notBefore, notAfter } = await intended(it, planned);
  const actual = { serialNumber, issuerKeyId, issuer, notBefore, notAfter };
  const certificate = Buffer.from(`certificate ${serialNumber}`);
  const thumbprint = "00".repeat(32);
  await it.store.run("enrolmentIssued", {
    serialNumber: planned,
    certificate,
    thumbprint,
    actual,
    at: NOON,
  });
  const revocation = { serialNumber, reason: "keyCompromise", actor: "local", at: NOON } as const;
  expect(await it.store.run("revokeCertificate", revocation)).toMatchObject({ kind: "revoked" });
}

test("a revocation of a remote authority's certificate is ordered in the same transaction", async () => {
  await using it = await openTestStore();
  await revoked(it);
  expect(await it.claim(NOON)).toEqual([]);
  const [ordered, ...others] = await it.claim(NOON + MINUTE_MS);
  expect(others).toEqual([]);
  expect(ordered).toMatchObject({
    authority: "elsewhere",
    serialNumber: "ff",
    reason: "keyCompromise",
    attempts: 0,
  });
  expect(Buffer.from(ordered?.certificate ?? []).toString()).toBe("certificate ff");
});

test("one of our own authority's is not: its lists come from the ledger", async () => {
  await using it = await openTestStore();
  const { serialNumber } = await intended(it, "0a");
  const issued = {
    serialNumber,
    certificate: Buffer.from("c"),
    thumbprint: "00".repeat(32),
    at: NOON,
  };
  await it.store.run("enrolmentIssued", issued);
  await it.store.run("revokeCertificate", {
    serialNumber,
    reason: "superseded",
    actor: "local",
    at: NOON,
  });
  expect(await it.claim(NOON + HOUR_MS)).toEqual([]);
});

test("of two certificates for one intent the second is ordered to be revoked", async () => {
  await using it = await openTestStore();
  const { serialNumber, issuerKeyId, issuer, notBefore, notAfter } = await intended(it, "0a");
  const store = (own: string, certificate: Buffer) => {
    const actual = { serialNumber: own, issuerKeyId, issuer, notBefore, notAfter };
    const thumbprint = "00".repeat(32);
    return it.store.run("enrolmentIssued", {
      serialNumber,
      certificate,
      thumbprint,
      actual,
      at: NOON,
    });
  };
  const [first, second] = [Buffer.from("first"), Buffer.from("second")];
  expect(Buffer.from(await store("f1", first))).toEqual(first);
  expect(Buffer.from(await store("f1", first))).toEqual(first);
  expect(await it.claim(NOON + MINUTE_MS)).toEqual([]);
  expect(Buffer.from(await store("f2", second))).toEqual(first);
  expect(await it.claim(NOON + MINUTE_MS)).toMatchObject([
    { serialNumber: "f2", reason: "superseded" },
  ]);
});

test("a certificate beyond the plan is ordered to be revoked with the refusal", async () => {
  await using it = await openTestStore();
  const { serialNumber, notAfter } = await intended(it, "0a");
  const revoke = {
    authority: "elsewhere",
    serialNumber: "ee",
    certificate: Buffer.from("wrong"),
    notAfter,
    reason: "cessationOfOperation",
  } as const;
  await it.store.run("enrolmentRefused", { serialNumber, at: NOON, revoke });
  expect(await it.claim(NOON + MINUTE_MS)).toMatchObject([{ serialNumber: "ee" }]);
});

test("whoever ordered it has the first go, and a claim keeps others away for its time", async () => {
  await using it = await openTestStore();
  await revoked(it);
  const only = { authority: "elsewhere", serialNumber: "ff" };
  const first = { at: NOON, until: NOON + MINUTE_MS, limit: 1, only };
  expect(await it.store.run("claimAuthorityRevocations", first)).toHaveLength(1);
  expect(await it.claim(NOON + 40_000)).toEqual([]);
  expect(await it.claim(NOON + MINUTE_MS)).toHaveLength(1);
});

test("what is done is in the audit and gone; what is not comes again, and counts its attempts", async () => {
  await using it = await openTestStore();
  await revoked(it, "0a", "fe");
  await revoked(it, "0b", "ff");
  const [one, two] = await it.claim(NOON + MINUTE_MS);
  await it.store.run("authorityRevocationDone", { id: one?.id ?? 0, at: NOON });
  const nextAt = NOON + HOUR_MS;
  await it.store.run("authorityRevocationDeferred", {
    id: two?.id ?? 0,
    at: NOON,
    nextAt,
    message: "away",
  });
  expect(await it.audited()).toEqual(["authority.revoked"]);
  expect(await it.claim(nextAt - 1)).toEqual([]);
  expect(await it.claim(nextAt)).toMatchObject([{ id: two?.id, attempts: 1 }]);
});

test("what cannot be told is kept for a person until the certificate expires", async () => {
  await using it = await openTestStore();
  await revoked(it);
  const [ordered] = await it.claim(NOON + MINUTE_MS);
  const never = { id: ordered?.id ?? 0, at: NOON, nextAt: undefined, message: "no way" };
  await it.store.run("authorityRevocationDeferred", never);
  expect(await it.audited()).toEqual(["authority.revocation-by-hand"]);
  expect(await it.claim(NOON + 23 * HOUR_MS)).toEqual([]);
  const rows = () => it.store.query("SELECT last_message FROM authority_revocation", [], 10);
  expect(await rows()).toEqual([{ last_message: "no way" }]);
  await it.claim(NOON + 25 * HOUR_MS);
  expect(await rows()).toEqual([]);
});
