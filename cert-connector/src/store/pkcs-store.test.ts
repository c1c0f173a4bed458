import { openStore } from "@isthmus/shared/store/store";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { describe, expect, test } from "vitest";
import type { PkcsDelivery, PkcsDraft } from "../core/pkcs-issuance.ts";
import { storedPfx } from "./imported-pfx-operations.ts";
import type { CertificateOperations } from "./operations.ts";
import { pkcsOutbox } from "./pkcs-outbox.ts";

const MODULE = new URL("./operations.ts", import.meta.url);
const NOON = 1_767_268_800_000;
const DAY_MS = 86_400_000;

async function open() {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const place = await newStorePlace(path);
  const store = stack.use(await openStore<CertificateOperations>({ ...place, module: MODULE }));
  return {
    ...{ store, outbox: pkcsOutbox(store) },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const draft = (changes: Partial<PkcsDraft> = {}): PkcsDraft => ({
  requestId: "order-1",
  profileId: "pkcs",
  deviceId: "device-1",
  recipientThumbprint: "ab".repeat(32),
  certificationRequest: Buffer.from("request"),
  sealedKey: Buffer.from("sealed"),
  at: NOON,
  ...changes,
});

const delivery = (changes: Partial<PkcsDelivery> = {}) => ({
  requestId: "order-1",
  deviceId: "device-1",
  serialNumber: "0a",
  thumbprint: "cd".repeat(32),
  recipientThumbprint: "ab".repeat(32),
  notAfter: NOON + DAY_MS,
  envelope: Buffer.from("first"),
  at: NOON + 1,
  ...changes,
});

describe("the outbox of keys made here", () => {
  test("keeps the first draft of an order, and the first envelope, in the key's place", async () => {
    await using it = await open();
    expect(await it.outbox.find("order-1")).toBeUndefined();
    await it.outbox.begin(draft());
    const second = await it.outbox.begin(draft({ sealedKey: Buffer.from("other") }));
    expect("sealedKey" in second && Buffer.from(second.sealedKey).toString()).toBe("sealed");
    await it.outbox.complete(delivery());
    const late = await it.outbox.complete(delivery({ envelope: Buffer.from("second") }));
    expect(Buffer.from(late.envelope).toString()).toBe("first");
    const stored = await it.outbox.find("order-1");
    expect(stored).toMatchObject({ serialNumber: "0a", notAfter: NOON + DAY_MS });
    expect(stored).not.toHaveProperty("sealedKey");
    const sealed = "SELECT 1 FROM audit_journal WHERE event = 'pkcs.sealed'";
    expect(await it.store.query(sealed, [], 9)).toHaveLength(1);
  });

  test("forgets an order after 31 days, not before", async () => {
    await using it = await open();
    await it.outbox.begin(draft());
    const later = (at: number) => it.outbox.begin(draft({ requestId: `at-${at}`, at }));
    await later(NOON + 31 * DAY_MS);
    expect(await it.outbox.find("order-1")).toBeDefined();
    await later(NOON + 31 * DAY_MS + 1);
    expect(await it.outbox.find("order-1")).toBeUndefined();
  });
});

test("an imported PFX takes the place of an older one of the same user and certificate", async () => {
  await using it = await open();
  const record = (encryptedPfxBlob: string, userPrincipalName = "Ada@example.com") => ({
    thumbprint: "a".repeat(40),
    userPrincipalName,
    keyName: "mail",
    paddingScheme: "oaepSha512" as const,
    encryptedPfxBlob,
    encryptedPfxPassword: "AAAA",
  });
  const stored = { intendedPurpose: "smimeEncryption", notAfter: NOON, at: NOON };
  await it.store.run("storeImportedPfx", { ...stored, record: record("AAAA") });
  await it.store.run("storeImportedPfx", { ...stored, record: record("BBBB", "ada@EXAMPLE.com") });
  const rows = await it.store.query("SELECT * FROM imported_pfx", [], 9);
  expect(rows.map((row) => storedPfx(row).record.encryptedPfxBlob)).toEqual(["BBBB"]);
  const named = { userPrincipalName: "ada@example.com", thumbprint: "a".repeat(40), at: NOON };
  expect(await it.store.run("removeImportedPfx", named)).toBe(true);
  expect(await it.store.run("removeImportedPfx", named)).toBe(false);
});
