import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { publicKeyOf, signJws } from "../link/jws.ts";
import { JWS_TYPES } from "../link/messages.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { Trust } from "./trust.ts";

const DAY_MS = 86_400_000;
const newKey = () => generateKeyPairSync("ed25519").privateKey;
const first = newKey();
const second = newKey();
const third = newKey();

function enrolled() {
  const folder = temporaryFolder();
  const clock = new FakeClock();
  const file = join(folder.path, "trust.json");
  const trust = Trust.load(file, clock);
  trust.pin(publicKeyOf(first), "enrolment");
  return { file, clock, trust, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

function statement(next: KeyObject, by: KeyObject, notBefore = 0): Promise<string> {
  return signJws({ tenantKey: publicKeyOf(next), notBefore }, JWS_TYPES.trust, by);
}

const signed = (by: KeyObject) => signJws({ said: true }, JWS_TYPES.command, by);

test("what the pinned key signed is accepted, also after the file is read again", async () => {
  using made = enrolled();
  const again = Trust.load(made.file, made.clock);
  expect(await again.verify(await signed(first), JWS_TYPES.command)).toEqual({ said: true });
  expect(statSync(made.file).mode & 0o777).toBe(0o600);
});

test("what another key signed, or as another type, is refused", async () => {
  using made = enrolled();
  const refusal = { code: "signature-refused", rule: "trust.tenant-key" };
  const foreign = made.trust.verify(await signed(second), JWS_TYPES.command);
  await expect(foreign).rejects.toMatchObject(refusal);
  const wrongType = made.trust.verify(await signed(first), JWS_TYPES.configuration);
  await expect(wrongType).rejects.toMatchObject(refusal);
  await expect(made.trust.verify("", JWS_TYPES.command)).rejects.toMatchObject(refusal);
});

test("nothing is accepted where no key is pinned", async () => {
  using folder = temporaryFolder();
  const trust = Trust.load(join(folder.path, "trust.json"), new FakeClock());
  await expect(trust.verify(await signed(first), JWS_TYPES.command)).rejects.toThrow();
  await expect(trust.rotate(await statement(second, first))).rejects.toMatchObject({
    code: "signature-refused",
  });
});

test("the current key names the next; the one before it is accepted for another day", async () => {
  using made = enrolled();
  expect(await made.trust.rotate(await statement(second, first))).toEqual(publicKeyOf(second));
  await made.trust.verify(await signed(second), JWS_TYPES.command);
  await made.trust.verify(await signed(first), JWS_TYPES.command);
  made.clock.advance(DAY_MS);
  await expect(made.trust.verify(await signed(first), JWS_TYPES.command)).rejects.toThrow();
  expect(Trust.load(made.file, made.clock).accepted()).toEqual([publicKeyOf(second)]);
});

test("the day begins when the new key comes into force", async () => {
  using made = enrolled();
  await made.trust.rotate(await statement(second, first, made.clock.now() + DAY_MS));
  made.clock.advance(2 * DAY_MS - 1);
  await made.trust.verify(await signed(first), JWS_TYPES.command);
  made.clock.advance(1);
  await expect(made.trust.verify(await signed(first), JWS_TYPES.command)).rejects.toThrow();
});

test("a repeated statement changes nothing", async () => {
  using made = enrolled();
  const jws = await statement(second, first);
  await made.trust.rotate(jws);
  expect(await made.trust.rotate(jws)).toBeUndefined();
  expect(made.trust.list()).toHaveLength(2);
});

test("statements that were followed before change nothing, in whatever order they are repeated", async () => {
  using made = enrolled();
  const statements = [await statement(second, first), await statement(third, second)];
  for (const jws of statements) await made.trust.rotate(jws);
  for (const jws of [...statements, ...statements.toReversed()]) {
    expect(await made.trust.rotate(jws)).toBeUndefined();
  }
  expect(made.trust.list().at(-1)?.publicKey).toEqual(publicKeyOf(third));
});

test("only the current key rotates: neither a stranger nor the key before it", async () => {
  using made = enrolled();
  const refusal = { code: "signature-refused" };
  const byStranger = made.trust.rotate(await statement(second, third));
  await expect(byStranger).rejects.toMatchObject(refusal);
  const bySelf = made.trust.rotate(await statement(second, second));
  await expect(bySelf).rejects.toMatchObject(refusal);
  await made.trust.rotate(await statement(second, first));
  const byPrevious = made.trust.rotate(await statement(third, first));
  await expect(byPrevious).rejects.toMatchObject(refusal);
  expect(made.trust.list().map(({ publicKey }) => publicKey)).toEqual([
    publicKeyOf(first),
    publicKeyOf(second),
  ]);
});

test("a retired key cannot come back by a statement", async () => {
  using made = enrolled();
  await made.trust.rotate(await statement(second, first));
  const back = made.trust.rotate(await statement(first, second));
  await expect(back).rejects.toMatchObject({ code: "trust-refused" });
});

test("a statement that is not one is refused", async () => {
  using made = enrolled();
  const jws = await signJws({ tenantKey: "x" }, JWS_TYPES.trust, first);
  await expect(made.trust.rotate(jws)).rejects.toMatchObject({ code: "trust-refused" });
});

test("pinning by hand retires every other key at once", async () => {
  using made = enrolled();
  await made.trust.rotate(await statement(second, first));
  made.trust.pin(publicKeyOf(third), "local");
  expect(made.trust.accepted()).toEqual([publicKeyOf(third)]);
  expect(made.trust.ever()).toHaveLength(3);
  made.trust.pin(publicKeyOf(first), "local");
  expect(made.trust.accepted()).toEqual([publicKeyOf(first)]);
});

test("a damaged file is an error, not an empty list", () => {
  using made = enrolled();
  writeFileSync(made.file, '{"keys":[');
  expect(() => Trust.load(made.file, made.clock)).toThrow(/damaged/);
  writeFileSync(made.file, '{"keys":[{}]}');
  expect(() => Trust.load(made.file, made.clock)).toThrow(/keys.0/);
});
