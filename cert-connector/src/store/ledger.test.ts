import { describe, expect, test } from "vitest";
import type { Intent } from "../core/ledger.ts";
import {
  code,
  HOUR_MS,
  intent,
  issuedOf,
  NOON,
  openLedger,
  pending,
} from "../testing/ledger-fixture.ts";

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
  test("of a renewal whose certificate was revoked meanwhile comes too late", async () => {
    await using it = await openLedger();
    const first = intent();
    await it.ledger.recordIntent(first);
    await it.ledger.recordIssued(issuedOf(first));
    const renewal = { renewsSerialNumber: first.serialNumber, grant: { subjectAltNames: [] } };
    const request = pending(renewal);
    const standing = await it.ledger.recordPending(request);
    if (standing.kind !== "pending") throw new Error("not pending");
    const { serialNumber } = first;
    const reason = "keyCompromise";
    await it.ledger.revoke({ serialNumber, reason, actor: "local", at: NOON });
    const revoked = code("renewal-revoked");
    const approved = { ...intent(), ...request, pendingId: standing.pendingId };
    await expect(it.ledger.recordIntent(approved)).rejects.toThrow(revoked);
    await expect(it.ledger.recordIntent(intent(renewal))).rejects.toThrow(revoked);
  });

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
