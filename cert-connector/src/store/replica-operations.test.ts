import { openStore } from "@isthmus/shared/store/store";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import type { CertificateOperations } from "./operations.ts";

const DAY_MS = 86_400_000;

async function open() {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const place = await newStorePlace(path);
  const module = new URL("./operations.ts", import.meta.url);
  const store = stack.use(await openStore<CertificateOperations>({ ...place, module }));
  return { store, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const version = "1";

test("a key is held by all once every replica that lives holds it", async () => {
  await using it = await open();
  const { store } = it;
  for (const name of ["a", "b"]) await store.run("replicaStarted", { name, version, at: 1_000 });
  const isHeld = (aliveSince: number) => store.run("isKeyHeldByAll", { keyId: "k", aliveSince });
  await store.run("holdKey", { name: "a", keyId: "k" });
  await store.run("holdKey", { name: "a", keyId: "k" });
  expect(await isHeld(0)).toBe(false);
  await store.run("replicaSeen", { name: "a", version, at: 2_000 });
  expect(await isHeld(1_001)).toBe(true);
  expect(await isHeld(1_000)).toBe(false);
  await store.run("holdKey", { name: "b", keyId: "k" });
  expect(await isHeld(0)).toBe(true);
  await store.run("replicaStarted", { name: "b", version, at: 3_000 });
  expect(await isHeld(0)).toBe(false);
  await store.run("replicaStopped", { name: "b" });
  expect(await isHeld(0)).toBe(true);
});

test("a replica that was forgotten is there again once it is seen", async () => {
  await using it = await open();
  const { store } = it;
  await store.run("replicaStarted", { name: "a", version, at: 0 });
  const later = 8 * DAY_MS;
  const seen = await store.run("replicaSeen", { name: "b", version, at: later });
  expect(seen.map(({ name }) => name)).toEqual(["b"]);
  const again = await store.run("replicaSeen", { name: "a", version, at: later });
  expect(again).toMatchObject([{ name: "a", seenAt: later }, { name: "b" }]);
});

test("a lease is one replica's until its time, with a new epoch for each holder", async () => {
  await using it = await open();
  const take = (holder: string, at: number) =>
    it.store.run("takeLease", { name: "work", holder, at, until: at + 100 });
  expect(await take("a", 0)).toBe(1);
  expect(await take("b", 99)).toBeUndefined();
  expect(await take("a", 99)).toBe(1);
  expect(await take("b", 198)).toBeUndefined();
  expect(await take("b", 199)).toBe(2);
  expect(await take("a", 200)).toBeUndefined();
  await it.store.run("replicaStopped", { name: "b" });
  expect(await take("a", 201)).toBe(3);
});
