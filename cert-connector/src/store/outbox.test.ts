import { openStore } from "@isthmus/shared/store/store";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import type { Intent } from "../core/ledger.ts";
import { planNotification } from "./notification-operations.ts";
import type { CertificateOperations } from "./operations.ts";
import { storeLedger } from "./store-ledger.ts";
import { storeOutbox } from "./store-outbox.ts";

const NOON = Date.UTC(2026, 0, 1, 12);
const HOUR_MS = 3_600_000;
const TARGET = { kind: "intune", name: "contoso" } as const;

async function openOutbox() {
  const folder = temporaryFolder();
  const store = await openStore<CertificateOperations>({
    ...(await newStorePlace(folder.path)),
    module: new URL("./operations.ts", import.meta.url),
  });
  return {
    store,
    ledger: storeLedger(store, new FakeClock(NOON)),
    outbox: storeOutbox(store),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

const intent: Intent = {
  profileId: "device",
  transactionId: "transaction",
  requestHash: Buffer.from("request"),
  frontDoor: "scep",
  authority: "embedded",
  issuerKeyId: "ab",
  issuer: "CN=CA,O=Contoso",
  serialNumber: "11".repeat(20),
  tbs: Buffer.from("tbs"),
  subject: "CN=device",
  notBefore: NOON,
  notAfter: NOON + 24 * HOUR_MS,
  grant: { subjectAltNames: [], notify: TARGET },
  requesterKeyHash: Buffer.from("key"),
  maxPerHour: 100,
  window: undefined,
  notification: { target: TARGET, transactionId: "transaction", certificateRequest: "MII=" },
  at: NOON,
};
const { serialNumber } = intent;
const issued = {
  serialNumber,
  certificate: Buffer.from("certificate"),
  thumbprint: "00".repeat(32),
  at: NOON,
};
const claim = (owner: string, at = NOON) => ({ owner, at, until: at + HOUR_MS, max: 10 });
const later = { code: "intune-busy", message: "answered 503" };

type Outbox = Awaited<ReturnType<typeof openOutbox>>;

/** An enrolment with its certificate; the id of its notification. */
async function enrolled({ ledger }: Outbox): Promise<number> {
  const outcome = await ledger.recordIntent(intent);
  await ledger.recordIssued(issued);
  if (outcome.kind !== "recorded" || outcome.notificationId === undefined) throw new Error("none");
  return outcome.notificationId;
}

describe("a notification", () => {
  test("cannot be claimed before the certificate is stored, and holds it as issued then", async () => {
    await using it = await openOutbox();
    await it.ledger.recordIntent(intent);
    expect(await it.outbox.claim(claim("a"))).toEqual([]);
    await it.ledger.recordIssued(issued);
    const [claimed] = await it.outbox.claim(claim("a"));
    expect(claimed).toMatchObject({ event: "success", target: TARGET, attempts: 1, epoch: 1 });
    expect(claimed?.payload).toEqual({
      transactionId: "transaction",
      certificateRequest: "MII=",
      certificateThumbprint: "735AD571C189D7BA84464BF4A9F1D2280175B128",
      certificateSerialNumber: "11".repeat(20),
      certificateExpirationDateUtc: "2026-01-02T12:00:00.000Z",
      issuingCertificateAuthority: "CN=CA,O=Contoso",
      caConfiguration: "embedded",
      certificateAuthority: "CA",
    });
  });

  test("is one sender's at a time, and another's when the claim has run out", async () => {
    await using it = await openOutbox();
    const id = await enrolled(it);
    const [first] = await it.outbox.claim(claim("a"));
    expect(await it.outbox.claim(claim("b"))).toEqual([]);
    expect(await it.outbox.claim({ ...claim("b"), id })).toEqual([]);
    const [second] = await it.outbox.claim(claim("b", NOON + HOUR_MS));
    expect(second?.epoch).toBe(2);
    await it.outbox.deferred({
      id,
      epoch: first?.epoch ?? 0,
      nextAt: NOON + 9 * HOUR_MS,
      ...later,
    });
    await it.outbox.accepted({ id, epoch: first?.epoch ?? 0, at: NOON });
    expect(await it.outbox.stateOf(id)).toBe("waiting");
    await it.outbox.accepted({ id, epoch: 2, at: NOON });
    expect(await it.outbox.stateOf(id)).toBe("accepted");
  });

  test("that an earlier process of the same owner had claimed is due at once", async () => {
    await using it = await openOutbox();
    await enrolled(it);
    await it.outbox.claim(claim("a"));
    expect(await it.outbox.release("b")).toBe(0);
    expect(await it.outbox.release("a")).toBe(1);
    expect(await it.outbox.claim(claim("a"))).toHaveLength(1);
  });

  test("keeps the certificate from the device until it was accepted, and its payload no longer", async () => {
    await using it = await openOutbox();
    const id = await enrolled(it);
    expect(await it.ledger.standingOf(intent)).toMatchObject({ notificationId: id });
    await it.outbox.claim(claim("a"));
    await it.outbox.accepted({ id, epoch: 1, at: NOON });
    expect(await it.ledger.standingOf(intent)).toMatchObject({ notificationId: undefined });
    const rows = await it.store.query("SELECT payload_json FROM notification", [], 10);
    expect(rows).toEqual([{ payload_json: null }]);
  });

  test("that was put off is due when its time has come, or when a person wishes", async () => {
    await using it = await openOutbox();
    const id = await enrolled(it);
    await it.outbox.claim(claim("a"));
    await it.outbox.deferred({ id, epoch: 1, nextAt: NOON + HOUR_MS, ...later });
    expect(await it.outbox.claim(claim("a", NOON + HOUR_MS - 1))).toEqual([]);
    expect(await it.store.run("hurryNotifications", { at: NOON })).toBe(1);
    expect(await it.outbox.claim(claim("a"))).toHaveLength(1);
  });

  test("that was refused puts the failure of its enrolment on record", async () => {
    await using it = await openOutbox();
    const id = await enrolled(it);
    await it.outbox.claim(claim("a"));
    const why = {
      code: "intune-challenge-expired",
      rule: "intune.ChallengeExpired",
      message: "no",
    };
    await it.outbox.refused({ id, epoch: 1, at: NOON, ...why });
    expect(await it.outbox.stateOf(id)).toBe("refused");
    const audited = await it.store.query<{ event: string }>(
      "SELECT event FROM audit_journal ORDER BY idx",
      [],
      10,
    );
    expect(audited.map(({ event }) => event)).toEqual([
      "enrolment.issued",
      "notification.refused",
      "enrolment.failed",
    ]);
  });

  test("of an intent that a remote authority refuses is never sent", async () => {
    await using it = await openOutbox();
    await it.ledger.recordIntent(intent);
    await it.ledger.recordRefused({ serialNumber, at: NOON });
    expect(await it.store.query("SELECT id FROM notification", [], 10)).toEqual([]);
  });
});

test("a failure is told once for a transaction, however often the device comes", async () => {
  await using it = await openOutbox();
  const payload = {
    transactionId: "transaction",
    certificateRequest: "MII=",
    hResult: -1,
    errorDescription: "no",
  };
  const failure = {
    transactionId: "transaction",
    profileId: "device",
    code: "guardrail",
    message: "no",
    notify: { target: TARGET, payload },
    at: NOON,
  };
  await it.ledger.recordFailure(failure);
  await it.ledger.recordFailure(failure);
  expect(await it.outbox.claim(claim("a"))).toHaveLength(1);
});

test.each([
  [49_999, "nothing"],
  [50_000, "notifications-full"],
])("with %i that wait the next enrolment throws %s", (open, expected) => {
  const tx = {
    get: () => ({ open }),
    run: () => ({ changes: 1, lastInsertRowid: 1 }),
    all: () => [],
  };
  const planned = { target: TARGET, transactionId: "t", certificateRequest: "MII=" };
  expect(thrownCode(() => planNotification(tx, planned, NOON))).toBe(expected);
});
