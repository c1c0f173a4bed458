import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { publicKeyOf, signJws } from "../link/jws.ts";
import { JWS_TYPES } from "../link/messages.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { makeStore, type StoreFixture } from "../testing/kernel-store-fixture.ts";
import { AuditKeeper } from "./audit-keeper.ts";
import { describeAudit, verifyAudit } from "./audit-verification.ts";

const clock = new FakeClock();
const tenant = generateKeyPairSync("ed25519").privateKey;
const keys = [publicKeyOf(tenant)];
const CONNECTOR = "connector-1";

async function record({ store }: StoreFixture, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, n) =>
      store.run("recordAudit", { at: clock.now() + n, event: "thing.done", payload: { n } }),
    ),
  );
}

async function countersign(made: StoreFixture, key = tenant, aud = CONNECTOR): Promise<void> {
  const head = await made.store.run("auditHead");
  const signed = { ...head, aud, receivedAt: clock.now() };
  const jws = await signJws(signed, JWS_TYPES.auditHead, key);
  await new AuditKeeper(made.store, clock).countersigned(signed as never, jws);
}

const verify = ({ store }: StoreFixture) => verifyAudit(store, keys, CONNECTOR);

test("a chain as it was written is intact, over more than one page", async () => {
  await using made = await makeStore();
  await record(made, 1_500);
  await countersign(made);
  const report = await verify(made);
  expect(report).toMatchObject({
    isIntact: true,
    entries: 1_500,
    erasedPayloads: 0,
    countersignedHeads: 1,
    countersignedUpTo: 1_500,
  });
  expect(describeAudit(report)).toMatch(/^The audit chain is intact: 1500 entries/);
});

test("an empty chain is intact", async () => {
  await using made = await makeStore();
  expect(await verify(made)).toMatchObject({ isIntact: true, entries: 0, head: undefined });
});

test.each([
  ["a changed event", "UPDATE audit_journal SET event = 'x' WHERE idx = 3", 3, /does not fit/],
  ["a changed time", "UPDATE audit_journal SET at = 1 WHERE idx = 3", 3, /does not fit/],
  ["a changed payload", "UPDATE audit_journal SET payload = '{}' WHERE idx = 3", 3, /payload was/],
  ["a removed entry", "DELETE FROM audit_journal WHERE idx = 3", 3, /entry 3 is missing/],
  ["a removed start", "DELETE FROM audit_journal WHERE idx <= 2", 1, /entry 1 is missing/],
  ["a removed end", "DELETE FROM audit_journal WHERE idx > 3", 4, /the chain ends before it/],
  [
    "a swapped hash",
    "UPDATE audit_journal SET hash = (SELECT hash FROM audit_journal WHERE idx = 2) WHERE idx = 3",
    3,
    /does not fit/,
  ],
])("%s breaks the chain at that entry", async (_what, sql, index, reason) => {
  await using made = await makeStore();
  await record(made, 5);
  await countersign(made);
  await made.reopen(sql);
  const { isIntact, broken } = await verify(made);
  expect(isIntact).toBe(false);
  expect(broken?.index).toBe(index);
  expect(broken?.reason).toMatch(reason);
});

test("a chain written anew from the start contradicts the countersigned head", async () => {
  await using made = await makeStore();
  await record(made, 3);
  await countersign(made);
  await made.reopen("DELETE FROM audit_journal");
  await record(made, 4);
  expect((await verify(made)).broken).toEqual({
    index: 3,
    reason: "the control plane countersigned another hash for it",
  });
});

test("a receipt that no pinned key signed, or for another connector, is found", async () => {
  await using made = await makeStore();
  await record(made, 3);
  await countersign(made, generateKeyPairSync("ed25519").privateKey);
  expect((await verify(made)).broken?.reason).toMatch(/not by a pinned tenant key/);
  await countersign(made, tenant, "connector-2");
  expect((await verify(made)).broken?.index).toBe(3);
  await countersign(made);
  expect((await verify(made)).isIntact).toBe(true);
});

test("an erased payload leaves the chain intact, and its hash tells nothing by trial", async () => {
  await using made = await makeStore();
  await record(made, 3);
  const [first, second] = await made.store.run("auditPage", 0);
  expect(await made.store.run("eraseAuditPayloads", clock.now() + 2)).toBe(2);
  expect(await verify(made)).toMatchObject({ isIntact: true, erasedPayloads: 2 });
  expect(first?.payloadText).toMatch(/"salt":"[\w-]{22}"/);
  expect(first?.payloadText).not.toBe(second?.payloadText);
  const entries = await made.store.query<{ entry: string }>(
    "SELECT entry FROM stream_entry ORDER BY position",
    [],
    10,
  );
  expect(entries.map(({ entry }) => "payload" in JSON.parse(entry))).toEqual([false, false, true]);
});

test("a receipt for a head that is not ours is refused and makes health say so", async () => {
  await using made = await makeStore();
  await record(made, 1);
  const keeper = new AuditKeeper(made.store, clock);
  const head = { aud: CONNECTOR, index: 1, hash: "0".repeat(64), receivedAt: clock.now() };
  await expect(keeper.countersigned(head, "jws")).rejects.toMatchObject({
    code: "audit-contradiction",
  });
  expect(keeper.check(true)).toMatchObject({ status: "unhealthy" });
});

test("a connected control plane that countersigns nothing for an hour is worth a warning", async () => {
  await using made = await makeStore();
  const time = new FakeClock();
  const keeper = new AuditKeeper(made.store, time);
  time.advance(3_600_000);
  expect(keeper.check(true).status).toBe("healthy");
  time.advance(1);
  expect(keeper.check(true).status).toBe("warning");
  expect(keeper.check(false).status).toBe("healthy");
});

test("a payload at 16 KiB is recorded, one over it is refused", async () => {
  await using made = await makeStore();
  // {"text":"...","salt":"22 characters"}
  const around = '{"text":"","salt":""}'.length + 22;
  const of = (length: number) => ({
    at: 1,
    event: "big.one",
    payload: { text: "x".repeat(length - around) },
  });
  await made.store.run("recordAudit", of(16_384));
  await expect(made.store.run("recordAudit", of(16_385))).rejects.toMatchObject({
    code: "audit-too-large",
  });
});

test("only the newest thousand receipts are kept", async () => {
  await using made = await makeStore();
  const receipt = (index: number) => ({ index, hash: "h", receivedAt: 1, jws: "j" });
  await Promise.all(
    Array.from({ length: 1_003 }, (_, n) => made.store.run("storeAuditReceipt", receipt(n + 1))),
  );
  const receipts = await made.store.run("auditReceipts");
  expect(receipts).toHaveLength(1_000);
  expect(receipts[0]?.index).toBe(4);
});
