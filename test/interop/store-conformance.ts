import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { Store } from "@isthmus/shared/store/store";
import type { operations } from "@isthmus/shared/testing/counter-store";
import { expect, test } from "vitest";

/** What every store has to do, whichever database is behind it. */

export type Counter = typeof operations;
/** Where one test's store is, and how to be rid of it. */
export interface ConformancePlace extends AsyncDisposable {
  open(options?: {
    readonly maxQueued?: number;
    readonly isReadOnly?: boolean;
    readonly queryTimeoutMs?: number;
  }): Promise<Store<Counter>>;
}

export const counterModule = new URL(import.meta.resolve("@isthmus/shared/testing/counter-store"));

export async function codeOfRejection(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnectorError);
  return (error as ConnectorError).code;
}

/** Registers the tests; `newPlace` makes a place that nobody has used. */
export function testConformance(newPlace: () => Promise<ConformancePlace>): void {
  test("what was run is there after the store is opened again", async () => {
    await using place = await newPlace();
    {
      await using store = await place.open();
      expect(await store.run("add", { n: 1, text: "one" })).toBe(1);
    }
    await using again = await place.open();
    expect(await again.run("count")).toBe(1);
  });

  test("an operation that throws is taken back alone, in the middle of a batch", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    const settled = await Promise.allSettled([
      store.run("add", { n: 1, text: "one" }),
      store.run("addThenRefuse", 2),
      store.run("add", { n: 1, text: "again" }),
      store.run("none" as "count"),
      store.run("add", { n: 5, text: "five" }),
    ]);
    const codes = settled.map((r) => (r.status === "rejected" ? r.reason.code : "ok"));
    expect(codes).toEqual([
      "ok",
      "counter-refused",
      "store-constraint",
      "store-operation-unknown",
      "ok",
    ]);
    const { reason } = settled[1] as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(RefusalError);
    expect(reason).toMatchObject({ rule: "counter.rule" });
    const rows = await store.query("SELECT n FROM entry ORDER BY n", [], 10);
    expect(rows).toEqual([{ n: 1 }, { n: 5 }]);
  });

  test("an operation that goes on after a failed statement fails as a whole", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    await store.run("add", { n: 1, text: "one" });
    const settled = await Promise.allSettled([
      store.run("addSwallowing", 1),
      store.run("add", { n: 2, text: "two" }),
    ]);
    expect(settled[1]?.status).toBe("fulfilled");
    expect(await store.query("SELECT n FROM entry ORDER BY n", [], 10)).toContainEqual({ n: 2 });
  });

  test("every kind of value comes back as it was stored", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    const text = "a'b\"c\\d?$1 -- ü € 𝄞\n";
    const bytes = Uint8Array.from({ length: 20_000 }, (_, index) => index % 256);
    const kept = { n: Number.MAX_SAFE_INTEGER, text, bytes, absent: null };
    expect(await store.run("keep", kept)).toEqual({ id: 1, changes: 1 });
    expect(await store.run("kept", 1)).toEqual({ id: 1, ...kept });
    const [row] = await store.query("SELECT bytes FROM kept WHERE text = ?", [text], 1);
    expect(new Uint8Array((row as { bytes: Uint8Array }).bytes)).toEqual(bytes);
    expect(
      await store.run("keep", { n: -5, text: "", bytes: new Uint8Array(), absent: 0 }),
    ).toEqual({
      id: 2,
      changes: 1,
    });
    expect(await store.run("kept", 2)).toMatchObject({ n: -5, text: "", absent: 0 });
  });

  test("a value that cannot be stored fails its operation alone", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    const broken = { n: 1, text: undefined as unknown as string };
    const settled = await Promise.allSettled([
      store.run("add", broken),
      store.run("add", { n: 2, text: "two" }),
    ]);
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  test("text is compared by its bytes, whatever language the database speaks", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    const texts = ["b", "A", "a", "B", "ä", "_"];
    await Promise.all(texts.map((text, n) => store.run("add", { n, text })));
    const rows = await store.query<{ text: string }>(
      "SELECT text FROM entry ORDER BY text",
      [],
      10,
    );
    expect(rows.map(({ text }) => text)).toEqual(["A", "B", "_", "a", "b", "ä"]);
  });

  test("an operation that writes a lot sees all it has written", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    expect(await store.run("addMany", 1_234)).toEqual({ counted: 1_234, last: "1233" });
  });

  test("a full queue refuses with a retryable error, at the limit it does not", async () => {
    await using place = await newPlace();
    await using store = await place.open({ maxQueued: 3 });
    const accepted = [1, 2, 3].map((n) => store.run("add", { n, text: "" }));
    const error = await store.run("add", { n: 4, text: "" }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "store-busy", isRetryable: true });
    expect(await Promise.all(accepted)).toEqual([1, 2, 3]);
  });

  test("an asynchronous operation and values that cannot cross threads fail alone", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    const uncloneable = { n: 7, text: (() => "") as unknown as string };
    const settled = await Promise.allSettled([
      store.run("asynchronous"),
      store.run("add", uncloneable),
      store.run("returnFunction"),
      store.run("add", { n: 1, text: "one" }),
    ]);
    const codes = settled.map((r) => (r.status === "rejected" ? r.reason.code : "ok"));
    expect(codes).toEqual(["store-operation-async", "store-argument", undefined, "ok"]);
  });

  test("a closed store finishes what was queued and takes nothing more", async () => {
    await using place = await newPlace();
    const store = await place.open();
    const queued = store.run("add", { n: 1, text: "" });
    await store[Symbol.asyncDispose]();
    expect(await queued).toBe(1);
    expect(await codeOfRejection(store.run("count"))).toBe("store-closed");
    expect(await codeOfRejection(store.query("SELECT 1", [], 1))).toBe("store-closed");
  });

  test("a read-only store reads beside the owner and cannot write", async () => {
    await using place = await newPlace();
    await using owner = await place.open();
    await owner.run("add", { n: 1, text: "one" });
    await using reader = await place.open({ isReadOnly: true });
    expect(await reader.run("count")).toBe(1);
    expect(await codeOfRejection(reader.run("add", { n: 2, text: "" }))).toBe("store-read-only");
    expect(await reader.run("count")).toBe(1);
  });

  test("a query is bounded by its rows and cannot write", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    await Promise.all([1, 2, 3].map((n) => store.run("add", { n, text: "t" })));
    expect(await store.query("SELECT n FROM entry", [], 3)).toHaveLength(3);
    expect(await codeOfRejection(store.query("SELECT n FROM entry", [], 2))).toBe(
      "store-result-too-large",
    );
    expect(await codeOfRejection(store.query("DELETE FROM entry", [], 1))).toBe("store-read-only");
    expect(await store.run("count")).toBe(3);
  });

  test("names in a query's answer are as they were written", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    const rows = await store.query("SELECT ? + 1 AS oneMore, max(2, 3) AS larger", [1], 1);
    expect(rows).toEqual([{ oneMore: 2, larger: 3 }]);
  });

  test("an integer that a number cannot hold is an error, and later queries are answered", async () => {
    await using place = await newPlace();
    await using store = await place.open();
    await expect(store.query("SELECT 9007199254740992 AS n", [], 1)).rejects.toThrow();
    expect(await store.query("SELECT 9007199254740991 AS n", [], 1)).toEqual([
      { n: 9_007_199_254_740_991 },
    ]);
  });

  test("a query that takes too long is given up, and the next one is answered", async () => {
    await using place = await newPlace();
    await using store = await place.open({ queryTimeoutMs: 2_000 });
    const endless =
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c";
    expect(await codeOfRejection(store.query(endless, [], 1))).toBe("store-query-timeout");
    expect(await store.query("SELECT 1 AS one", [], 1)).toEqual([{ one: 1 }]);
  });
}
