import { generateKeyPairSync } from "node:crypto";
import { testAuthority, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import type { SigningKey } from "@isthmus/shared/x509/signing-key";
import { expect, test } from "vitest";
import type { RegistrationKeyStore, StoredRegistrationKey } from "../core/registration-keys.ts";
import { RegistrationAuthority } from "./registration-authority.ts";

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
/** Replicas share the RA's key. */
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;

/** The store's contract in memory; `isHeld` is what the other replicas say. */
function memoryStore() {
  const keys = new Map<string, StoredRegistrationKey>();
  const state = { isHeld: true, lists: 0 };
  const store: RegistrationKeyStore = {
    list: async () => {
      state.lists += 1;
      return [...keys.values()];
    },
    add: async (key) => {
      const waiting = [...keys.values()].find(({ publishedAt }) => publishedAt === undefined);
      const kept = keys.get(key.id) ?? waiting ?? key;
      keys.set(kept.id, kept);
      return kept;
    },
    publish: async ({ id, at, acceptOthersUntil }) => {
      for (const key of keys.values()) {
        const changes = key.id === id ? { publishedAt: at } : { acceptedUntil: acceptOthersUntil };
        keys.set(key.id, { ...key, ...changes });
      }
    },
    removeExpired: async (at) => {
      for (const { id, acceptedUntil } of keys.values()) {
        if (acceptedUntil !== undefined && acceptedUntil < at) keys.delete(id);
      }
    },
    hold: async () => undefined,
    isHeldByAll: async () => state.isHeld,
  };
  return { store, state, keys };
}

async function makeRa(clock: FakeClock, memory = memoryStore(), own?: Certificate) {
  const authority = await testAuthority();
  let made = 0;
  const certificateAt = async (notBefore: number) => {
    made += 1;
    const notAfter = notBefore + 3 * YEAR_MS;
    const serialNumber = `50${made.toString(16).padStart(2, "0")}`;
    const options = { subject: "CN=RA", key, notBefore, notAfter, serialNumber };
    return (await testCertificate(options, authority)).certificate;
  };
  const failures: unknown[] = [];
  const loadable = { ids: undefined as ReadonlySet<string> | undefined };
  const load = async ({ id }: { readonly id: string }): Promise<SigningKey> => {
    if (loadable.ids === undefined || loadable.ids.has(id)) return key;
    throw new Error("the token is away");
  };
  const ra = new RegistrationAuthority({
    store: memory.store,
    custodies: [
      {
        kind: "test",
        make: async (now) => ({ certificate: (await certificateAt(now)).der, material: "x" }),
        load,
      },
    ],
    own: { certificate: own ?? (await certificateAt(clock.now())), custody: "test" },
    openerOf: () => ({
      open: () => Promise.reject(new Error("not asked for")),
      [Symbol.asyncDispose]: async () => undefined,
    }),
    clock,
    onMade: async () => undefined,
    onPublished: () => undefined,
    onFailure: (error) => void failures.push(error),
  });
  return { ra, memory, failures, loadable, certificateAt };
}

test("a successor is not given out before every replica has it, but its envelopes are opened", async () => {
  const clock = new FakeClock();
  const { ra, memory } = await makeRa(clock);
  await using _ = ra;
  await ra.start();
  const first = ra.current();
  memory.state.isHeld = false;
  clock.advance(3 * YEAR_MS - 30 * DAY_MS);
  await ra.renew();
  expect(ra.current()).toBe(first);
  expect(ra.accepted()).toHaveLength(2);
  memory.state.isHeld = true;
  await ra.renew();
  expect(ra.current()).not.toBe(first);
  expect(ra.accepted()).toContain(first);
});

test("while a successor waits no further one is made", async () => {
  const clock = new FakeClock();
  const { ra, memory } = await makeRa(clock);
  await using _ = ra;
  await ra.start();
  memory.state.isHeld = false;
  for (let time = 0; time < 3; time += 1) await ra.renew(true);
  expect(memory.keys.size).toBe(2);
});

test("two replicas that are due at once end with one successor", async () => {
  const clock = new FakeClock();
  const memory = memoryStore();
  const one = await makeRa(clock, memory);
  await one.ra.start();
  const own = one.ra.current().responder.certificate;
  const two = await makeRa(clock, memory, own);
  await two.ra.start();
  clock.advance(3 * YEAR_MS - 30 * DAY_MS);
  memory.state.isHeld = false;
  await Promise.all([one.ra.renew(), two.ra.renew()]);
  expect(memory.keys.size).toBe(2);
  memory.state.isHeld = true;
  await one.ra.renew();
  await two.ra.renew();
  const thumbprint = one.ra.current().responder.certificate.thumbprint;
  expect(two.ra.current().responder.certificate.thumbprint).toBe(thumbprint);
  await one.ra[Symbol.asyncDispose]();
  await two.ra[Symbol.asyncDispose]();
});

test("a key that cannot be loaded is passed over and reported, and the others go on", async () => {
  const clock = new FakeClock();
  const { ra, memory, failures, loadable, certificateAt } = await makeRa(clock);
  await using _ = ra;
  const lost = await certificateAt(clock.now() - DAY_MS);
  await memory.store.add({
    id: lost.thumbprint,
    certificate: lost.der,
    custody: "test",
    material: "",
    madeAt: lost.notBefore,
    publishedAt: lost.notBefore,
    acceptedUntil: undefined,
    notAfter: lost.notAfter,
  });
  loadable.ids = new Set();
  await expect(ra.start()).rejects.toMatchObject({ code: "key-unavailable", isRetryable: true });
  loadable.ids = undefined;
  await ra.start();
  expect(failures.length).toBeGreaterThan(0);
  expect(ra.current().responder.certificate.subject.der.length).toBeGreaterThan(0);
});

test("a newer key that a person has put beside the authority follows, an older one does not", async () => {
  const clock = new FakeClock();
  const first = await makeRa(clock);
  await first.ra.start();
  const old = first.ra.current().responder.certificate;
  await first.ra[Symbol.asyncDispose]();
  clock.advance(DAY_MS);
  const own = await first.certificateAt(clock.now());
  const second = await makeRa(clock, first.memory, own);
  await second.ra.start();
  expect(second.ra.current().responder.certificate.thumbprint).toBe(own.thumbprint);
  await second.ra[Symbol.asyncDispose]();
  const again = await makeRa(clock, first.memory, parseCertificate(old.der));
  await again.ra.start();
  expect(again.ra.current().responder.certificate.thumbprint).toBe(own.thumbprint);
  await again.ra[Symbol.asyncDispose]();
});

test("envelopes to unknown certificates make it look for other keys, at most every five seconds", async () => {
  const clock = new FakeClock();
  const { ra, memory } = await makeRa(clock);
  await using _ = ra;
  await ra.start();
  const before = memory.state.lists;
  for (let time = 0; time < 10; time += 1) await ra.lookAgain();
  expect(memory.state.lists).toBe(before);
  clock.advance(5_000);
  for (let time = 0; time < 10; time += 1) await ra.lookAgain();
  expect(memory.state.lists).toBe(before + 1);
});

test("a certificate that somebody put into the database in the place of ours is not given out", async () => {
  const clock = new FakeClock();
  const { ra, memory, failures } = await makeRa(clock);
  await using _ = ra;
  await ra.start();
  const ours = ra.current();
  const theirs = await testCertificate(
    {
      subject: "CN=RA",
      key: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
      notBefore: clock.now(),
      notAfter: clock.now() + YEAR_MS,
      serialNumber: "6001",
    },
    await testAuthority(),
  );
  const { der, thumbprint } = theirs.certificate;
  const published = {
    certificate: der,
    custody: "test",
    material: "x",
    madeAt: clock.now() + 1,
    publishedAt: clock.now() + 1,
    acceptedUntil: undefined,
    notAfter: clock.now() + YEAR_MS,
  };
  for (const id of [thumbprint, "00".repeat(32)]) memory.keys.set(id, { ...published, id });
  await ra.renew();
  expect(ra.current()).toBe(ours);
  expect(ra.accepted()).toEqual([ours]);
  expect(failures).toContainEqual(expect.objectContaining({ code: "key-unreadable" }));
});
