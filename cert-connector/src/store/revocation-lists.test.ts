import { describe, expect, test } from "vitest";
import { HOUR_MS, intent, issuedOf, NOON, openLedger } from "../testing/ledger-fixture.ts";

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
