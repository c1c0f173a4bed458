import { openStore } from "@isthmus/shared/store/store";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import type { CertificateOperations } from "./operations.ts";
import { storeLedger } from "./store-ledger.ts";
import { storeRevocationInbox } from "./store-revocation-inbox.ts";

const NOON = Date.UTC(2026, 0, 1, 12);
const HOUR_MS = 3_600_000;
const TENANT = "contoso";

/** A ledger with certificates of these serial numbers, and an inbox whose window lets `max` through in an hour. */
async function openInbox(max: number, serials: readonly (readonly [string, string])[]) {
  const folder = temporaryFolder();
  const store = await openStore<CertificateOperations>({
    ...(await newStorePlace(folder.path)),
    module: new URL("./operations.ts", import.meta.url),
  });
  const ledger = storeLedger(store, new FakeClock(NOON));
  for (const [index, [serialNumber, issuer]] of serials.entries()) {
    const planned = `f${index}`;
    const issuerKeyId = issuer === "CN=A" ? "aa" : "bb";
    const validity = { notBefore: NOON, notAfter: NOON + 24 * HOUR_MS };
    await ledger.recordIntent({
      profileId: "device",
      transactionId: `${serialNumber} ${issuer}`,
      requestHash: Buffer.from(serialNumber),
      frontDoor: "scep",
      authority: "embedded",
      issuerKeyId,
      issuer,
      serialNumber: planned,
      tbs: Buffer.from("tbs"),
      subject: "CN=device",
      ...validity,
      grant: { subjectAltNames: [], notify: { kind: "intune", name: TENANT } },
      requesterKeyHash: Buffer.from("key"),
      maxPerHour: 100,
      window: undefined,
      at: NOON,
    });
    const certificate = Buffer.from(serialNumber);
    const actual = { serialNumber, issuerKeyId, issuer, ...validity };
    const issued = { serialNumber: planned, certificate, thumbprint: "00", at: NOON };
    await ledger.recordIssued({ ...issued, actual });
  }
  return {
    inbox: storeRevocationInbox(store, { max, windowMs: HOUR_MS }),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

const asked = (requestContext: string, serialNumber: string, issuerName?: string) => ({
  requestContext,
  serialNumber,
  issuerName,
});

test("a request that comes twice is done and reported once", async () => {
  await using it = await openInbox(10, [["0a", "CN=A"]]);
  const requests = [asked("one", "00:0A")];
  await it.inbox.keep({ tenant: TENANT, requests, at: NOON });
  await it.inbox.keep({ tenant: TENANT, requests, at: NOON });
  const { revoked, heldBack } = await it.inbox.revoke({ tenant: TENANT, at: NOON });
  expect(revoked).toMatchObject([{ authority: "embedded", serialNumber: "0a" }]);
  expect(heldBack).toBe(0);
  expect(await it.inbox.finished(TENANT)).toEqual([]);
  await it.inbox.confirm({ revoked: revoked.map(({ id }) => id), byHand: [] });
  const [finished, ...others] = await it.inbox.finished(TENANT);
  expect(others).toEqual([]);
  expect(finished?.result).toEqual({
    requestContext: "one",
    succeeded: true,
    errorCode: "None",
    errorMessage: null,
  });
  await it.inbox.forget([finished?.id ?? 0]);
  expect(await it.inbox.finished(TENANT)).toEqual([]);
});

test("one whose authority was not told is handed out again, and not revoked again", async () => {
  await using it = await openInbox(1, [["0a", "CN=A"]]);
  await it.inbox.keep({ tenant: TENANT, requests: [asked("one", "0a")], at: NOON });
  const first = await it.inbox.revoke({ tenant: TENANT, at: NOON });
  expect(await it.inbox.revoke({ tenant: TENANT, at: NOON })).toEqual(first);
});

test("one whose authority cannot be told is said to be for a person", async () => {
  await using it = await openInbox(1, [["0a", "CN=A"]]);
  await it.inbox.keep({ tenant: TENANT, requests: [asked("one", "0a")], at: NOON });
  const { revoked } = await it.inbox.revoke({ tenant: TENANT, at: NOON });
  await it.inbox.confirm({ revoked: [], byHand: revoked.map(({ id }) => id) });
  const [finished] = await it.inbox.finished(TENANT);
  expect(finished?.result).toMatchObject({
    succeeded: false,
    errorCode: "NotSupportedError",
    errorMessage: expect.stringContaining("by hand"),
  });
});

test("what exceeds the window stays, in the order of the requests", async () => {
  const serials = ["0a", "0b", "0c"].map((serial) => [serial, "CN=A"] as const);
  await using it = await openInbox(2, serials);
  const requests = serials.map(([serial]) => asked(`for ${serial}`, serial));
  await it.inbox.keep({ tenant: TENANT, requests, at: NOON });
  const first = await it.inbox.revoke({ tenant: TENANT, at: NOON });
  expect(first.revoked.map(({ serialNumber }) => serialNumber)).toEqual(["0a", "0b"]);
  expect(first.heldBack).toBe(1);
  const later = await it.inbox.revoke({ tenant: TENANT, at: NOON + 2 * HOUR_MS });
  expect(later.revoked.map(({ serialNumber }) => serialNumber)).toEqual(["0a", "0b", "0c"]);
  expect(later.heldBack).toBe(0);
});

test.each([
  ["of a number that two issuers have used", "0a", undefined, "ParameterDataInvalidError"],
  ["of an issuer that has not used it", "0a", "CN=C", "CertificateNotFoundError"],
  ["of no number of ours", "0f", undefined, "CertificateNotFoundError"],
  ["without a number", "", undefined, "ParameterDataInvalidError"],
  ["with a number that is none", "0x0g", undefined, "ParameterDataInvalidError"],
])(
  "a request %s gets its code and costs nothing of the window",
  async (_what, serial, name, code) => {
    const both = [
      ["0a", "CN=A"],
      ["0a", "CN=B"],
    ] as const;
    await using it = await openInbox(0, both);
    await it.inbox.keep({ tenant: TENANT, requests: [asked("one", serial, name)], at: NOON });
    expect(await it.inbox.revoke({ tenant: TENANT, at: NOON })).toEqual({
      revoked: [],
      heldBack: 0,
    });
    const [finished] = await it.inbox.finished(TENANT);
    expect(finished?.result).toMatchObject({ succeeded: false, errorCode: code });
  },
);

test("an issuer is known by its whole name and by its common name", async () => {
  await using it = await openInbox(9, [
    ["0a", "CN=A"],
    ["0a", "CN=B"],
  ]);
  const requests = [asked("one", "0a", "CN=A"), asked("two", "0a", "B")];
  await it.inbox.keep({ tenant: TENANT, requests, at: NOON });
  const { revoked } = await it.inbox.revoke({ tenant: TENANT, at: NOON });
  expect(revoked).toHaveLength(2);
});

test("what was revoked before is a conflict", async () => {
  await using it = await openInbox(9, [["0a", "CN=A"]]);
  const requests = [asked("one", "0a"), asked("two", "0a")];
  await it.inbox.keep({ tenant: TENANT, requests, at: NOON });
  const { revoked } = await it.inbox.revoke({ tenant: TENANT, at: NOON });
  expect(revoked).toHaveLength(1);
  const [conflict] = await it.inbox.finished(TENANT);
  expect(conflict?.result).toMatchObject({ requestContext: "two", errorCode: "ConflictError" });
});

test("a tenant revokes what it has validated, and nothing of another tenant or of none", async () => {
  await using it = await openInbox(9, [["0a", "CN=A"]]);
  await it.inbox.keep({ tenant: "fabrikam", requests: [asked("one", "0a")], at: NOON });
  expect(await it.inbox.revoke({ tenant: "fabrikam", at: NOON })).toEqual({
    revoked: [],
    heldBack: 0,
  });
  const [finished] = await it.inbox.finished("fabrikam");
  expect(finished?.result).toMatchObject({ errorCode: "CertificateNotFoundError" });
});
