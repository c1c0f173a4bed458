import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { ConnectorError, RefusalError } from "../errors.ts";
import type { operations } from "../testing/counter-store.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { lockFile } from "./file-lock.ts";
import { queryBuilder } from "./query-builder.ts";
import { openStore } from "./store.ts";

const module = new URL("../testing/counter-store.ts", import.meta.url);
type Counter = typeof operations;

function open(file: string, options: { maxQueued?: number; isReadOnly?: boolean } = {}) {
  return openStore<Counter>({ file, module, ...options });
}

async function codeOfRejection(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnectorError);
  return (error as ConnectorError).code;
}

test("what was run is there after the store is opened again", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "a.db");
  {
    await using store = await open(file);
    expect(await store.run("add", { n: 1, text: "one" })).toBe(1);
  }
  await using again = await open(file);
  expect(await again.run("count")).toBe(1);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("an operation that throws is rolled back alone, and its error arrives with class, code and rule", async () => {
  using folder = temporaryFolder();
  await using store = await open(join(folder.path, "a.db"));
  const [first, refused, last] = await Promise.allSettled([
    store.run("add", { n: 1, text: "one" }),
    store.run("addThenRefuse", 2),
    store.run("add", { n: 3, text: "three" }),
  ]);
  expect(first.status).toBe("fulfilled");
  expect(last.status).toBe("fulfilled");
  const { reason } = refused as PromiseRejectedResult;
  expect(reason).toBeInstanceOf(RefusalError);
  expect(reason).toMatchObject({ code: "counter-refused", rule: "counter.rule" });
  expect(await store.query("SELECT n FROM entry ORDER BY n", [], 10)).toEqual([{ n: 1 }, { n: 3 }]);
});

test("operations that arrive together share commits", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "a.db");
  await using store = await open(file);
  const walBefore = statSync(`${file}-wal`).size;
  await Promise.all(
    Array.from({ length: 400 }, (_, n) => store.run("add", { n, text: String(n) })),
  );
  // One by one each commit writes its own copy of the page: over 400 frames of 4 KiB.
  expect(statSync(`${file}-wal`).size - walBefore).toBeLessThan(40 * 4_096);
  expect(await store.run("count")).toBe(400);
});

test("a broken constraint is a clear error and leaves the store usable", async () => {
  using folder = temporaryFolder();
  await using store = await open(join(folder.path, "a.db"));
  await store.run("add", { n: 1, text: "one" });
  expect(await codeOfRejection(store.run("add", { n: 1, text: "again" }))).toBe("store-constraint");
  expect(await store.run("count")).toBe(1);
});

test("a full queue refuses with a retryable error, at the limit it does not", async () => {
  using folder = temporaryFolder();
  await using store = await open(join(folder.path, "a.db"), { maxQueued: 3 });
  const accepted = [1, 2, 3].map((n) => store.run("add", { n, text: "" }));
  const error = await store.run("add", { n: 4, text: "" }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "store-busy", isRetryable: true });
  expect(await Promise.all(accepted)).toEqual([1, 2, 3]);
});

test("an asynchronous operation and values that cannot cross threads fail alone", async () => {
  using folder = temporaryFolder();
  await using store = await open(join(folder.path, "a.db"));
  const uncloneable = { n: 7, text: (() => "") as unknown as string };
  const results = await Promise.allSettled([
    store.run("asynchronous"),
    store.run("add", uncloneable),
    store.run("returnFunction"),
    store.run("add", { n: 1, text: "one" }),
  ]);
  expect(results.map(({ status }) => status)).toEqual([
    "rejected",
    "rejected",
    "rejected",
    "fulfilled",
  ]);
  const codes = results.map((r) => (r.status === "rejected" ? r.reason.code : "ok"));
  expect(codes.slice(0, 2)).toEqual(["store-operation-async", "store-argument"]);
  expect(await store.run("count")).toBe(1);
});

test("a closed store finishes what was queued and takes nothing more", async () => {
  using folder = temporaryFolder();
  const store = await open(join(folder.path, "a.db"));
  const queued = store.run("add", { n: 1, text: "" });
  await store[Symbol.asyncDispose]();
  expect(await queued).toBe(1);
  expect(await codeOfRejection(store.run("count"))).toBe("store-closed");
  expect(await codeOfRejection(store.query("SELECT 1", [], 1))).toBe("store-closed");
});

test("a writer thread that dies rejects what waits and reports the failure", async () => {
  using folder = temporaryFolder();
  await using store = await open(join(folder.path, "a.db"));
  expect(await codeOfRejection(store.run("crash"))).toBe("store-died");
  expect((await store.failed).code).toBe("store-died");
  expect(await codeOfRejection(store.run("count"))).toBe("store-died");
});

test("a second owner of one file is refused, in this process and in another", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "a.db");
  await using store = await open(file);
  expect(await codeOfRejection(open(file))).toBe("store-in-use");
  using child = startWriter(file, 0);
  expect(await once(child, "exit")).toEqual([1, null]);
  expect(await store.run("count")).toBe(0);
});

test("a lock is free again once its holder is gone", () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "lock");
  {
    using _held = lockFile(file, "the folder");
    expect(() => lockFile(file, "the folder")).toThrow(/the folder is in use/);
  }
  using again = lockFile(file, "the folder");
  expect(again).toBeDefined();
});

test("a file that is no database, or a damaged one, says so", async () => {
  using folder = temporaryFolder();
  const garbage = join(folder.path, "garbage.db");
  writeFileSync(garbage, "this is no database".repeat(1_000));
  expect(await codeOfRejection(open(garbage))).toBe("store-corrupt");
});

test("a missing folder says so", async () => {
  using folder = temporaryFolder();
  const missing = open(join(folder.path, "none", "a.db"));
  await expect(missing).rejects.toMatchObject({ code: "store-unopenable" });
  await expect(missing).rejects.toThrow(/none/);
});

test("a schema newer than the code, or an edited migration, is refused", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "a.db");
  await (await open(file))[Symbol.asyncDispose]();
  const database = new DatabaseSync(file);
  database.exec("UPDATE schema_migration SET sha256 = 'x'");
  expect(await codeOfRejection(open(file))).toBe("store-schema-changed");
  database.exec("UPDATE schema_migration SET id = 'counter-99' WHERE id = 'counter-2'");
  expect(await codeOfRejection(open(file))).toBe("store-schema-newer");
  database.close();
});

test("a read-only store reads beside the owner and cannot write", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "a.db");
  await using owner = await open(file);
  await owner.run("add", { n: 1, text: "one" });
  await using reader = await open(file, { isReadOnly: true });
  expect(await reader.run("count")).toBe(1);
  expect(await codeOfRejection(reader.run("add", { n: 2, text: "" }))).toBe("store-read-only");
});

test("a query is bounded by its rows: at the limit it passes, above it refuses", async () => {
  using folder = temporaryFolder();
  await using store = await open(join(folder.path, "a.db"));
  await Promise.all([1, 2, 3].map((n) => store.run("add", { n, text: "t" })));
  expect(await store.query("SELECT n FROM entry", [], 3)).toHaveLength(3);
  expect(await codeOfRejection(store.query("SELECT n FROM entry", [], 2))).toBe(
    "store-result-too-large",
  );
  expect(await codeOfRejection(store.query("DELETE FROM entry", [], 1))).toBe("store-read-only");
});

test("a row that cannot be read leaves later queries with what is there by then", async () => {
  using folder = temporaryFolder();
  await using store = await open(join(folder.path, "a.db"));
  const tooLarge = store.query("SELECT 1 AS n UNION ALL SELECT 9007199254740992", [], 10);
  await expect(tooLarge).rejects.toThrow();
  const unreadable = "SELECT n + 9007199254740991 AS large FROM entry";
  await store.run("add", { n: 1, text: "one" });
  await expect(store.query(unreadable, [], 10)).rejects.toThrow();
  await store.run("add", { n: 2, text: "two" });
  expect(await store.query("SELECT n FROM entry ORDER BY n", [], 10)).toEqual([{ n: 1 }, { n: 2 }]);
});

test("a query that takes too long is given up, and the next one is answered", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "a.db");
  await using store = await openStore<Counter>({ file, module, queryTimeoutMs: 300 });
  const endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c";
  expect(await codeOfRejection(store.query(endless, [], 100_000_000))).toBe("store-query-timeout");
  expect(await store.query("SELECT 1 AS one", [], 1)).toEqual([{ one: 1 }]);
});

test("the query builder composes what query takes", async () => {
  using folder = temporaryFolder();
  await using store = await open(join(folder.path, "a.db"));
  await store.run("add", { n: 1, text: "one" });
  const { sql, parameters } = queryBuilder<{ entry: { n: number; text: string } }>()
    .selectFrom("entry")
    .select("text")
    .where("n", "=", 1)
    .compile();
  expect(await store.query(sql, parameters as number[], 1)).toEqual([{ text: "one" }]);
});

function startWriter(file: string, first: number) {
  const script = new URL("../testing/store-writer-process.ts", import.meta.url).pathname;
  return spawn(process.execPath, [script, file, String(first)], {
    stdio: ["ignore", "pipe", "ignore"],
  });
}

test("what was acknowledged survives SIGKILL in the middle of commits", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "a.db");
  const acknowledged: number[] = [];
  for (let round = 0; round < 4; round++) {
    using child = startWriter(file, round * 1_000_000);
    const lines = createInterface(child.stdout);
    let countdown = 150 + round * 137;
    lines.on("line", (line) => {
      acknowledged.push(Number(line));
      if (--countdown === 0) child.kill("SIGKILL");
    });
    await Promise.all([once(child, "exit"), once(lines, "close")]);
  }
  expect(acknowledged.length).toBeGreaterThan(1_000);
  await using store = await open(file);
  const rows = await store.query<{ n: number }>("SELECT n FROM entry", [], 1_000_000);
  const present = new Set(rows.map(({ n }) => n));
  expect(acknowledged.filter((n) => !present.has(n))).toEqual([]);
});
