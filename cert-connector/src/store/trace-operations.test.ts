import { openStore } from "@isthmus/shared/store/store";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import type { CertificateOperations } from "./operations.ts";

const NOON = Date.UTC(2026, 0, 1, 12);
const DAY_MS = 86_400_000;

async function openTraces() {
  const folder = temporaryFolder();
  const store = await openStore<CertificateOperations>({
    ...(await newStorePlace(folder.path)),
    module: new URL("./operations.ts", import.meta.url),
  });
  let count = 0;
  const nextId = () => {
    count += 1;
    return `t${count}`;
  };
  return {
    keep: (rows: number, at: number, maximum?: number) =>
      store.run("keepTraces", {
        rows: Array.from({ length: rows }, () => ({
          transactionId: nextId(),
          deviceId: undefined,
          at,
          text: "{}",
        })),
        at,
        ...(maximum !== undefined && { maximum }),
      }),
    ids: async () =>
      (
        await store.query<{ id: string }>(
          "SELECT transaction_id AS id FROM trace_message ORDER BY trace_message.id",
          [],
          1_000,
        )
      ).map(({ id }) => id),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

test("the newest stay, at the limit and over it", async () => {
  await using it = await openTraces();
  await it.keep(5, NOON, 5);
  expect(await it.ids()).toEqual(["t1", "t2", "t3", "t4", "t5"]);
  await it.keep(2, NOON, 5);
  expect(await it.ids()).toEqual(["t3", "t4", "t5", "t6", "t7"]);
});

test("what is a month old goes, some for each that comes", async () => {
  await using it = await openTraces();
  await it.keep(10, NOON);
  await it.keep(1, NOON + 30 * DAY_MS);
  expect(await it.ids()).toHaveLength(11);
  await it.keep(1, NOON + 30 * DAY_MS + 1);
  expect(await it.ids()).toEqual(["t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12"]);
  await it.keep(4, NOON + 30 * DAY_MS + 1);
  expect(await it.ids()).toEqual(["t11", "t12", "t13", "t14", "t15", "t16"]);
});
