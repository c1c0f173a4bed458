import { describe, expect, test } from "vitest";
import type { Intent } from "../core/ledger.ts";
import { code, HOUR_MS, intent, issuedOf, NOON, openLedger } from "../testing/ledger-fixture.ts";

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

  test("is not stored under the number of another order's certificate, and revokes nothing of it", async () => {
    await using it = await openLedger();
    const [first, second] = [remote(), remote()];
    for (const each of [first, second]) await it.ledger.recordIntent(each);
    const actual = actualOf("0b");
    await it.ledger.recordIssued({ ...issuedOf(first), actual });
    const answered = { ...issuedOf(second), actual };
    await expect(it.ledger.recordIssued(answered)).rejects.toThrow(code("ca-mismatch"));
    await it.ledger.recordIssued({ ...issuedOf(second), actual: actualOf("0c") });
    const late = { ...answered, certificate: Buffer.from("late") };
    expect(Buffer.from(await it.ledger.recordIssued(late))).toEqual(
      Buffer.from(second.serialNumber),
    );
    const ordered = await it.store.query("SELECT serial_number FROM authority_revocation", [], 9);
    expect(ordered).toEqual([]);
  });

  test("is not taken for the order whose planned number another authority has chosen", async () => {
    await using it = await openLedger();
    const [first, second] = [remote(), remote()];
    for (const each of [first, second]) await it.ledger.recordIntent(each);
    const actual = { ...actualOf(second.serialNumber), issuerKeyId: "00" };
    await it.ledger.recordIssued({ ...issuedOf(first), actual });
    const own = await it.ledger.recordIssued({ ...issuedOf(second), actual: actualOf("0d") });
    expect(Buffer.from(own)).toEqual(Buffer.from(second.serialNumber));
    expect(await it.ledger.findCertificates("0d")).toHaveLength(1);
  });

  test("that was refused five times does not keep the certificate from being renewed", async () => {
    await using it = await openLedger();
    for (let time = 0; time < 6; time += 1) {
      const each = remote({ renewsSerialNumber: "0f" });
      expect(await it.ledger.recordIntent(each)).toEqual({ kind: "recorded" });
      await it.ledger.recordRefused({ serialNumber: each.serialNumber, at: NOON });
    }
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
