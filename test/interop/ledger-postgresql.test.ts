import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { storeElsewhere } from "@isthmus/shared/testing/store-place";
import { afterAll, describe, test } from "vitest";
import { missing } from "../peers.ts";
import { PostgresqlServer } from "../postgresql.ts";
import { findTool } from "../tools.ts";

/** The tests of the ledger, of the SCEP service and of the kernel's tables, the very same ones, on PostgreSQL. */
const TESTS = [
  ...readdirSync("cert-connector/src/store")
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join("cert-connector/src/store", name)),
  "cert-connector/src/main/scep-service.test.ts",
  "shared/src/kernel/audit.test.ts",
  "shared/src/kernel/limit-operations.test.ts",
  "shared/src/link/link-session.test.ts",
];

const postgres = findTool("postgres");
if (postgres === undefined) {
  test("the ledger on PostgreSQL", (context) =>
    missing("postgres (Debian package postgresql)", context));
} else {
  const server = await PostgresqlServer.start(postgres);
  afterAll(() => server[Symbol.asyncDispose]());
  storeElsewhere({
    newPlace: async () => ({ postgresql: await server.newPlace() }),
    execute: async (place, sql) => {
      if ("postgresql" in place) await server.sql(sql, place.postgresql);
    },
  });
  for (const file of TESTS) {
    describe(file, async () => {
      await import(pathToFileURL(resolve(file)).href);
    });
  }
}
