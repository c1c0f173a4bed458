import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { openStore } from "@isthmus/shared/store/store";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing } from "../peers.ts";
import { PostgresqlServer } from "../postgresql.ts";
import { findTool } from "../tools.ts";
import { CuttingProxy } from "./cutting-proxy.ts";
import {
  type ConformancePlace,
  type Counter,
  codeOfRejection,
  counterModule as module,
  testConformance,
} from "./store-conformance.ts";

describe("a store in a file", () => {
  testConformance(async (): Promise<ConformancePlace> => {
    const folder = temporaryFolder();
    const file = join(folder.path, "a.db");
    return {
      open: (options) => openStore<Counter>({ file, module, ...options }),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  });
});

/** The answer, or undefined where it is worth another attempt. */
async function storedOr<T>(answer: Promise<T>): Promise<T | undefined> {
  return await answer.catch((error: unknown) => {
    if (error instanceof ConnectorError && error.isRetryable) return undefined;
    throw error;
  });
}

const postgres = findTool("postgres");

if (postgres === undefined)
  test("a store in PostgreSQL", (context) => {
    missing("postgres (Debian package postgresql)", context);
  });

describe.skipIf(postgres === undefined)("a store in PostgreSQL", () => {
  let server: PostgresqlServer;
  beforeAll(async () => {
    server = await PostgresqlServer.start(postgres ?? "");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  testConformance(async (): Promise<ConformancePlace> => {
    const postgresql = await server.newPlace();
    return {
      open: (options) => openStore<Counter>({ postgresql, module, ...options }),
      [Symbol.asyncDispose]: async () => undefined,
    };
  });

  test("a replica's name is taken while its process lives", async () => {
    const postgresql = await server.newPlace();
    {
      await using _store = await openStore<Counter>({ postgresql, module });
      expect(await codeOfRejection(openStore<Counter>({ postgresql, module }))).toBe(
        "store-in-use",
      );
    }
    await using again = await openStore<Counter>({ postgresql, module });
    expect(await again.run("count")).toBe(0);
  });

  test("replicas have tables of their own", async () => {
    const one = await server.newPlace("one");
    await using first = await openStore<Counter>({ postgresql: one, module });
    const two = { ...one, replica: "two" };
    await using second = await openStore<Counter>({ postgresql: two, module });
    await first.run("add", { n: 1, text: "one" });
    expect(await second.run("count")).toBe(0);
  });

  test("a server that is away is told at once at the start, and by an error worth a retry later", async () => {
    const postgresql = await server.newPlace();
    await using store = await openStore<Counter>({ postgresql, module });
    await store.run("add", { n: 1, text: "one" });
    await server.stop("immediate");
    try {
      const down = await store.run("count").catch((error: unknown) => error);
      expect(down).toMatchObject({ code: "store-unreachable", isRetryable: true });
      const query = await store.query("SELECT 1", [], 1).catch((error: unknown) => error);
      expect(query).toMatchObject({ code: "store-unreachable", isRetryable: true });
      const other = { ...postgresql, replica: "other" };
      expect(await codeOfRejection(openStore<Counter>({ postgresql: other, module }))).toBe(
        "store-unreachable",
      );
    } finally {
      await server.start();
    }
    const answer = () => store.run("count").catch(() => undefined);
    expect(await until(answer, "an answer of the store", 30_000)).toBe(1);
    await until(() => store.query("SELECT 1", [], 1).catch(() => undefined), "a reader", 30_000);
  });

  test("a connection that breaks while it commits leaves the outcome open, and says so", async () => {
    const place = await server.newPlace();
    await using proxy = await CuttingProxy.start(server.port);
    const postgresql = server.behind(place, proxy.port);
    await using store = await openStore<Counter>({ postgresql, module });
    // An operation that only writes goes out in one piece, with the commit behind it.
    proxy.cutAfter = "the last that is heard";
    const last = { n: 1, text: proxy.cutAfter };
    const error = await store.run("add", last).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "store-outcome-unknown", isRetryable: true });
    proxy.cutAfter = undefined;
    const again = await codeOfRejection(
      until(() => storedOr(store.run("add", { n: 1, text: "one" })), "an answer", 30_000),
    );
    expect(again).toBe("store-constraint");
    expect(await store.run("count")).toBe(1);
  });

  test("a connection that breaks before it commits leaves nothing behind", async () => {
    const place = await server.newPlace();
    await using proxy = await CuttingProxy.start(server.port);
    const postgresql = server.behind(place, proxy.port);
    await using store = await openStore<Counter>({ postgresql, module });
    proxy.cutAfter = "count(*) AS c, max(n)";
    expect(await codeOfRejection(store.run("addMany", 3))).toBe("store-unreachable");
    proxy.cutAfter = undefined;
    const counted = () => storedOr(store.run("count").then(String));
    expect(await until(counted, "an answer", 30_000)).toBe("0");
  });

  test("is reached with TLS where its certificate is of the authority that the configuration names", async () => {
    const place = await server.newPlace();
    const encrypted = server.encrypted(place);
    await using store = await openStore<Counter>({ postgresql: encrypted, module });
    expect(await store.run("add", { n: 1, text: "one" })).toBe(1);
    const [row] = await store.query(
      "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
      [],
      1,
    );
    expect(row).toEqual({ ssl: 1 });
    const { caFile: _, ...unknown } = { ...encrypted, replica: "two" };
    expect(await codeOfRejection(openStore<Counter>({ postgresql: unknown, module }))).toBe(
      "store-unreachable",
    );
  });

  test("a wrong password is told without it, and no password leaves the file", async () => {
    const { urlFile } = await server.newPlace();
    const place = server.place("one", "no_such_database");
    const error = await openStore({ postgresql: place, module }).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: "store-refused" });
    expect(String(error)).not.toContain("correct");
    expect(urlFile).not.toBe(place.urlFile);
  });

  test("what a newer release has added does not keep an older one from starting, unless it says so", async () => {
    const postgresql = await server.newPlace();
    await (await openStore<Counter>({ postgresql, module }))[Symbol.asyncDispose]();
    const add = (id: string, breaks: number) =>
      server.sql(
        `INSERT INTO isthmus_replica_one.schema_migration VALUES ('${id}', 'x', 0, ${breaks})`,
        postgresql,
      );
    await add("counter-98", 0);
    await (await openStore<Counter>({ postgresql, module }))[Symbol.asyncDispose]();
    await add("counter-99", 1);
    expect(await codeOfRejection(openStore<Counter>({ postgresql, module }))).toBe(
      "store-schema-newer",
    );
  });

  test("a column that a newer release adds meanwhile disturbs no replica of the older one", async () => {
    const postgresql = await server.newPlace();
    await using store = await openStore<Counter>({ postgresql, module });
    const kept = { n: 1, text: "", bytes: new Uint8Array([1]), absent: null };
    await store.run("keep", kept);
    const look = () =>
      Promise.all([store.run("kept", 1), store.query("SELECT * FROM kept", [], 1)]);
    for (let round = 0; round < 3; round++) {
      const [row, [queried]] = await look();
      expect(row).toMatchObject({ n: 1 });
      expect(queried).toMatchObject({ n: 1 });
      await server.sql(`ALTER TABLE kept ADD COLUMN more_${round} BIGINT`, postgresql);
    }
    expect(await store.run("keep", { ...kept, n: 2 })).toMatchObject({ id: 2 });
  });

  test("an edited migration is refused", async () => {
    const postgresql = await server.newPlace();
    await (await openStore<Counter>({ postgresql, module }))[Symbol.asyncDispose]();
    await server.sql("UPDATE isthmus_replica_one.schema_migration SET sha256 = 'x'", postgresql);
    expect(await codeOfRejection(openStore<Counter>({ postgresql, module }))).toBe(
      "store-schema-changed",
    );
  });

  test("a text with a NUL, which PostgreSQL cannot store, fails its operation alone", async () => {
    const postgresql = await server.newPlace();
    await using store = await openStore<Counter>({ postgresql, module });
    const settled = await Promise.allSettled([
      store.run("add", { n: 1, text: "a\0b" }),
      store.run("add", { n: 2, text: "two" }),
    ]);
    expect(settled[0]).toMatchObject({ reason: { code: "store-text", isRetryable: false } });
    expect(settled[1]).toMatchObject({ value: 2 });
  });
});
