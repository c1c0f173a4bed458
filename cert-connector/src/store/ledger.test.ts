import { openStore } from "@isthmus/shared/store/store";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { describe, expect, test } from "vitest";
import type { Intent, PendingRequest } from "../core/ledger.ts";
import type { CertificateOperations } from "./operations.ts";
import { storeLedger } from "./store-ledger.ts";

const HOUR_MS = 3_600_000;
const NOON = Date.UTC(2026, 0, 1, 12);

async function openLedger() {
  const folder = temporaryFolder();
  const store = await openStore<CertificateOperations>({
    ...(await newStorePlace(folder.path)),
    module: new URL("./operations.ts", import.meta.url),
  });
  const clock = new FakeClock(NOON);
  return {
    store,
    clock,
    ledger: storeLedger(store, clock),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

let count = 0;
/** A good intent of its own; tests change one thing. */
function intent(changes: Partial<Intent> = {}): Intent {
  count += 1;
  return {
    profileId: "device",
    transactionId: `transaction-${count}`,
    requestHash: Buffer.from(`request-${count}`),
    frontDoor: "scep",
    authority: "embedded",
    issuerKeyId: "ab",
    issuer: "CN=CA",
    serialNumber: count.toString(16).padStart(40, "1"),
    tbs: Buffer.from(`tbs-${count}`),
    subject: "CN=device",
    notBefore: NOON,
    notAfter: NOON + 24 * HOUR_MS,
    grant: {
      challenge: { id: `challenge-${count}`, expiresAt: NOON + HOUR_MS },
      deviceId: "device-1",
      subjectAltNames: [],
    },
    requesterKeyHash: Buffer.from("key"),
    maxPerHour: 100,
    window: undefined,
    at: NOON,
    ...changes,
  };
}

function issuedOf({ serialNumber }: Intent, at = NOON) {
  return { serialNumber, certificate: Buffer.from(serialNumber), thumbprint: "00".repeat(32), at };
}

const code = (expected: string) => expect.objectContaining({ code: expected });

test("an intent is completed once: the first certificate stays, whoever stores another", async () => {
  await using it = await openLedger();
  const first = intent();
  expect(await it.ledger.recordIntent(first)).toEqual({ kind: "recorded" });
  const stored = await it.ledger.recordIssued(issuedOf(first));
  const again = await it.ledger.recordIssued({ ...issuedOf(first), certificate: Buffer.from("B") });
  expect(Buffer.from(again)).toEqual(Buffer.from(stored));
  const events = await it.store.query(
    "SELECT entry FROM stream_entry WHERE stream = 'issuance'",
    [],
    10,
  );
  expect(events).toHaveLength(1);
});

test("the same request again gets the same certificate, whatever its new serial number was to be", async () => {
  await using it = await openLedger();
  const first = intent();
  await it.ledger.recordIntent(first);
  expect(await it.ledger.recordIntent({ ...first, serialNumber: "22".repeat(20) })).toMatchObject({
    kind: "unfinished",
    intent: { serialNumber: first.serialNumber, tbs: new Uint8Array(first.tbs) },
  });
  await it.ledger.recordIssued(issuedOf(first));
  expect(await it.ledger.recordIntent(first)).toMatchObject({ kind: "issued" });
});

test("the same request at another profile is another request", async () => {
  await using it = await openLedger();
  const first = intent();
  await it.ledger.recordIntent(first);
  const { challenge: _, ...grant } = first.grant;
  const other = intent({ ...first, profileId: "other", serialNumber: "22".repeat(20), grant });
  expect(await it.ledger.recordIntent(other)).toEqual({ kind: "recorded" });
});

test("a one-time challenge belongs to the first request it came with", async () => {
  await using it = await openLedger();
  const first = intent();
  await it.ledger.recordIntent(first);
  const thief = intent({ grant: first.grant });
  await expect(it.ledger.recordIntent(thief)).rejects.toThrow(code("challenge-used"));
  // The same request under another transaction is the device's own retry.
  const retry = intent({ grant: first.grant, requestHash: first.requestHash });
  expect(await it.ledger.recordIntent(retry)).toMatchObject({ kind: "unfinished" });
});

test("of two requests with one challenge at the same moment one wins", async () => {
  await using it = await openLedger();
  const { grant } = intent();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 10 }, () => it.ledger.recordIntent(intent({ grant }))),
  );
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("a serial number is never used twice", async () => {
  await using it = await openLedger();
  const first = intent();
  await it.ledger.recordIntent(first);
  const second = intent({ serialNumber: first.serialNumber });
  await expect(it.ledger.recordIntent(second)).rejects.toThrow(code("store-constraint"));
});

test("a revoked certificate is not handed out again", async () => {
  await using it = await openLedger();
  const first = intent();
  await it.ledger.recordIntent(first);
  await it.ledger.recordIssued(issuedOf(first));
  const revocation = {
    serialNumber: first.serialNumber,
    reason: "keyCompromise",
    actor: "local",
    at: NOON,
  } as const;
  expect(await it.ledger.revoke(revocation)).toMatchObject({ kind: "revoked" });
  expect(await it.ledger.revoke(revocation)).toMatchObject({ kind: "already-revoked" });
  await expect(it.ledger.recordIntent(first)).rejects.toThrow(code("certificate-revoked"));
  expect(await it.ledger.revoke({ ...revocation, serialNumber: "ff" })).toEqual({
    kind: "unknown",
  });
});

test("a request whose certificate has expired is new again, with a challenge of its own", async () => {
  await using it = await openLedger();
  const first = intent();
  await it.ledger.recordIntent(first);
  await it.ledger.recordIssued(issuedOf(first));
  const later = {
    at: first.notAfter + 1,
    serialNumber: "33".repeat(20),
    notAfter: first.notAfter * 2,
  };
  await expect(it.ledger.recordIntent({ ...first, ...later })).rejects.toThrow(
    code("challenge-used"),
  );
  const grant = { subjectAltNames: [] };
  expect(await it.ledger.recordIntent({ ...first, ...later, grant })).toEqual({ kind: "recorded" });
});

describe("the clock", () => {
  test("nothing is intended more than half a minute before the last issuance", async () => {
    await using it = await openLedger();
    await it.ledger.recordIntent(intent());
    expect(await it.ledger.recordIntent(intent({ at: NOON - 30_000 }))).toEqual({
      kind: "recorded",
    });
    await expect(it.ledger.recordIntent(intent({ at: NOON - 30_001 }))).rejects.toThrow(
      expect.objectContaining({ code: "clock-behind", rule: "ledger.clock" }),
    );
  });

  test("no revocation list is made more than half a minute before the last one", async () => {
    await using it = await openLedger();
    const of = { issuerKeyId: "ab", at: NOON, expiredBefore: 0 };
    const { number } = await it.ledger.beginList(of);
    await it.ledger.storeList({
      issuerKeyId: "ab",
      number,
      thisUpdate: NOON,
      nextUpdate: NOON + 1,
      der: Buffer.from("l"),
    });
    await expect(it.ledger.beginList({ ...of, at: NOON - 30_001 })).rejects.toThrow(
      code("clock-behind"),
    );
  });
});

describe("limits", () => {
  test("a profile issues maxPerHour in an hour, and again when it has passed", async () => {
    await using it = await openLedger();
    const limited = (at: number) => it.ledger.recordIntent(intent({ maxPerHour: 2, at }));
    await limited(NOON);
    await limited(NOON);
    await expect(limited(NOON)).rejects.toThrow(code("profile-rate-exceeded"));
    await expect(limited(NOON + HOUR_MS - 60_000)).rejects.toThrow(code("profile-rate-exceeded"));
    expect(await limited(NOON + HOUR_MS)).toEqual({ kind: "recorded" });
  });

  test("the guardrails' window holds over all profiles, and a refusal uses nothing up", async () => {
    await using it = await openLedger();
    const window = { max: 1, windowMs: HOUR_MS };
    await it.ledger.recordIntent(intent({ window }));
    const refused = intent({ window, profileId: "other" });
    await expect(it.ledger.recordIntent(refused)).rejects.toThrow(
      expect.objectContaining({
        code: "limit-exceeded",
        rule: "guardrails.commands.limits.certificate-issuance",
      }),
    );
    expect(await it.ledger.recordIntent({ ...refused, window: undefined })).toEqual({
      kind: "recorded",
    });
  });
});

function pending(changes: Partial<PendingRequest> = {}): PendingRequest {
  return { ...intent(), certificationRequest: Buffer.from("csr"), ...changes };
}

describe("one certificate renewed again and again, each time with a new key", () => {
  const renewal = () => ({ renewsSerialNumber: "42".repeat(20), grant: { subjectAltNames: [] } });
  const limit = expect.objectContaining({ code: "renewal-limit", rule: "ledger.renewals" });

  test("has five successors and no more; a retry of one of them is no further one", async () => {
    await using it = await openLedger();
    const first = intent(renewal());
    await it.ledger.recordIntent(first);
    const certificate = await it.ledger.recordIssued(issuedOf(first));
    for (let more = 0; more < 4; more++) await it.ledger.recordIntent(intent(renewal()));
    await expect(it.ledger.recordIntent(intent(renewal()))).rejects.toThrow(limit);
    expect(await it.ledger.recordIntent(first)).toMatchObject({ kind: "issued", certificate });
    const ofAnother = intent({ ...renewal(), renewsSerialNumber: "43".repeat(20) });
    expect(await it.ledger.recordIntent(ofAnother)).toEqual({ kind: "recorded" });
  });

  test("uses the profile's rate up no further once it is refused", async () => {
    await using it = await openLedger();
    const maxPerHour = 6;
    for (let more = 0; more < 5; more++) await it.ledger.recordIntent(intent(renewal()));
    for (let more = 0; more < 3; more++) {
      await expect(it.ledger.recordIntent(intent(renewal()))).rejects.toThrow(limit);
    }
    expect(await it.ledger.recordIntent(intent({ maxPerHour }))).toEqual({ kind: "recorded" });
  });

  test("has five that wait for a person, not counting those that were rejected", async () => {
    await using it = await openLedger();
    const rejected = await it.ledger.recordPending(pending(renewal()));
    if (rejected.kind !== "pending") throw new Error("not pending");
    const { pendingId } = rejected;
    await it.ledger.rejectPending({ pendingId, actor: "local", at: NOON });
    const last = pending(renewal());
    for (let more = 0; more < 4; more++) await it.ledger.recordPending(pending(renewal()));
    const standing = await it.ledger.recordPending(last);
    await expect(it.ledger.recordPending(pending(renewal()))).rejects.toThrow(limit);
    if (standing.kind !== "pending") throw new Error("not pending");
    const approved = { ...intent(), ...last, pendingId: standing.pendingId };
    expect(await it.ledger.recordIntent(approved)).toEqual({ kind: "recorded" });
  });
});

describe("approval", () => {
  test("a pending request is completed by its approval and by nothing else", async () => {
    await using it = await openLedger();
    const request = pending();
    const standing = await it.ledger.recordPending(request);
    if (standing.kind !== "pending") throw new Error("not pending");
    const { pendingId } = standing;
    expect(await it.ledger.recordPending(request)).toEqual(standing);
    expect(await it.ledger.recordIntent({ ...intent(), ...request } as Intent)).toEqual(standing);
    const approved = { ...intent(), ...request, pendingId, serialNumber: "44".repeat(20) };
    expect(await it.ledger.recordIntent(approved)).toEqual({ kind: "recorded" });
    expect(await it.ledger.standingOfKey(request)).toMatchObject({ kind: "unfinished" });
    expect(await it.ledger.findPending(pendingId)).toBeUndefined();
    const events = await it.store.query("SELECT event FROM audit_journal ORDER BY idx", [], 10);
    expect(events.map(({ event }) => event)).toEqual(["enrolment.pending", "enrolment.approved"]);
  });

  test("a rejected request stays rejected", async () => {
    await using it = await openLedger();
    const request = pending();
    const standing = await it.ledger.recordPending(request);
    if (standing.kind !== "pending") throw new Error("not pending");
    const decision = { pendingId: standing.pendingId, actor: "local", at: NOON };
    expect(await it.ledger.rejectPending(decision)).toBe(true);
    expect(await it.ledger.rejectPending(decision)).toBe(false);
    await expect(it.ledger.recordPending(request)).rejects.toThrow(code("request-rejected"));
    await expect(it.ledger.standingOf(request)).rejects.toThrow(code("request-rejected"));
  });
});

describe("an intent for a remote authority", () => {
  const request = Buffer.from("certification request");
  const remote = (changes: Partial<Intent> = {}) =>
    intent({ authority: "elsewhere", certificationRequest: request, ...changes });
  const actualOf = (serialNumber: string) => ({
    serialNumber,
    issuerKeyId: "ef",
    issuer: "CN=Elsewhere",
    notBefore: NOON - 1,
    notAfter: NOON + HOUR_MS,
  });

  test("may be asked for by one at a time, and again once the lease has ended", async () => {
    await using it = await openLedger();
    const { serialNumber, ...rest } = remote();
    await it.ledger.recordIntent({ serialNumber, ...rest });
    const ask = (at: number) => it.ledger.beginAsking({ serialNumber, at, until: at + 60_000 });
    const fresh = { kind: "ask", isRepeated: false, reference: undefined };
    expect(await ask(NOON)).toEqual(fresh);
    expect(await ask(NOON + 59_999)).toEqual({ kind: "busy" });
    expect(await ask(NOON + 60_000)).toEqual({ ...fresh, isRepeated: true });
    await it.ledger.endAsking({ serialNumber, reference: "42" });
    expect(await ask(NOON + 60_001)).toEqual({ kind: "ask", isRepeated: true, reference: "42" });
  });

  test("keeps the request, and is stored under the number that the authority chose", async () => {
    await using it = await openLedger();
    const first = remote();
    await it.ledger.recordIntent(first);
    const [unfinished] = await it.ledger.unfinishedIntents();
    expect(Buffer.from(unfinished?.certificationRequest ?? [])).toEqual(request);
    const actual = actualOf("0b");
    const stored = await it.ledger.recordIssued({ ...issuedOf(first), actual });
    const second = { ...issuedOf(first), certificate: Buffer.from("B"), actual: actualOf("0c") };
    expect(Buffer.from(await it.ledger.recordIssued(second))).toEqual(Buffer.from(stored));
    expect(await it.ledger.findCertificates(first.serialNumber)).toEqual([]);
    expect(await it.ledger.findCertificates("0b")).toMatchObject([
      { issuerKeyId: "ef", notAfter: NOON + HOUR_MS },
    ]);
    expect(await it.ledger.beginAsking({ serialNumber: "0b", at: NOON, until: NOON })).toEqual({
      kind: "busy",
    });
  });

  test("that is refused frees the request and its challenge", async () => {
    await using it = await openLedger();
    const first = remote();
    await it.ledger.recordIntent(first);
    await it.ledger.recordRefused({ serialNumber: first.serialNumber, at: NOON });
    expect(await it.ledger.unfinishedIntents()).toEqual([]);
    expect(await it.ledger.standingOf(first)).toBeUndefined();
    const again = { ...first, serialNumber: "77".repeat(20) };
    expect(await it.ledger.recordIntent(again)).toEqual({ kind: "recorded" });
  });

  test("two issuers may use one number: who revokes has to name the issuer then", async () => {
    await using it = await openLedger();
    for (const [issuerKeyId, issuer] of [
      ["e1", "CN=One"],
      ["e2", "CN=Two"],
    ] as const) {
      const each = remote();
      await it.ledger.recordIntent(each);
      const actual = { ...actualOf("05"), issuerKeyId, issuer };
      await it.ledger.recordIssued({ ...issuedOf(each), actual });
    }
    const order = { serialNumber: "05", reason: "superseded", actor: "local", at: NOON } as const;
    await expect(it.ledger.revoke(order)).rejects.toThrow(code("serial-ambiguous"));
    expect(await it.ledger.revoke({ ...order, issuer: "CN=Two" })).toMatchObject({
      kind: "revoked",
      issuerKeyId: "e2",
      authority: "elsewhere",
    });
    const found = await it.ledger.findCertificates("05");
    expect(found.map(({ revokedAt }) => revokedAt)).toEqual([undefined, NOON]);
  });
});

describe("revocation lists", () => {
  test("numbers only grow, also where a restored backup has forgotten the last", async () => {
    await using it = await openLedger();
    const begin = (at: number) => it.ledger.beginList({ issuerKeyId: "ab", at, expiredBefore: 0 });
    const numbers = [await begin(NOON), await begin(NOON), await begin(NOON + 10_000)].map(
      ({ number }) => number,
    );
    expect(numbers[0]).toBe(NOON / 1_000);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(new Set(numbers).size).toBe(3);
  });

  test("an older list does not replace a newer one", async () => {
    await using it = await openLedger();
    const list = { issuerKeyId: "ab", thisUpdate: NOON, nextUpdate: NOON + HOUR_MS };
    const older = await it.ledger.beginList({ issuerKeyId: "ab", at: NOON, expiredBefore: 0 });
    const newer = await it.ledger.beginList({ issuerKeyId: "ab", at: NOON, expiredBefore: 0 });
    await it.ledger.storeList({ ...list, number: newer.number, der: Buffer.from("new") });
    await it.ledger.storeList({ ...list, number: older.number, der: Buffer.from("old") });
    expect((await it.ledger.currentList("ab"))?.number).toBe(newer.number);
  });

  test("hold what is revoked and not long expired, of this issuer", async () => {
    await using it = await openLedger();
    const [kept, expired, foreign] = [
      intent(),
      intent({ notAfter: NOON - 1 }),
      intent({ issuerKeyId: "cd" }),
    ];
    for (const each of [kept, expired, foreign]) {
      await it.ledger.recordIntent(each);
      await it.ledger.recordIssued(issuedOf(each));
      const { serialNumber } = each;
      await it.ledger.revoke({ serialNumber, reason: "superseded", actor: "local", at: NOON });
    }
    const { revoked } = await it.ledger.beginList({
      issuerKeyId: "ab",
      at: NOON,
      expiredBefore: NOON,
    });
    expect(revoked).toEqual([
      { serialNumber: kept.serialNumber, revokedAt: NOON, reason: "superseded" },
    ]);
  });
});

test("what happened goes to stream and audit in the same transaction", async () => {
  await using it = await openLedger();
  const first = intent();
  await it.ledger.recordIntent(first);
  await it.ledger.recordIssued(issuedOf(first));
  await it.ledger.revoke({
    serialNumber: first.serialNumber,
    reason: "superseded",
    actor: "cloud",
    at: NOON,
  });
  await it.ledger.recordFailure({
    transactionId: "t",
    profileId: "device",
    code: "challenge-expired",
    rule: "profile.challenge",
    message: "The challenge has expired",
    at: NOON,
  });
  const rows = await it.store.query<{ entry: string }>(
    "SELECT entry FROM stream_entry WHERE stream = 'issuance' ORDER BY position",
    [],
    10,
  );
  const events = rows.map(({ entry }) => JSON.parse(entry) as Record<string, unknown>);
  expect(events.map(({ event }) => event)).toEqual(["issued", "revoked", "failed"]);
  expect(events[0]).toMatchObject({ deviceId: "device-1", serialNumber: first.serialNumber });
  const audited = await it.store.query<{ event: string }>(
    "SELECT event FROM audit_journal ORDER BY idx",
    [],
    10,
  );
  expect(audited.map(({ event }) => event)).toEqual([
    "enrolment.issued",
    "certificate.revoked",
    "enrolment.failed",
  ]);
});
