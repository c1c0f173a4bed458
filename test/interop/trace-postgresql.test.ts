import { openStore } from "@isthmus/shared/store/store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CertificateOperations } from "../../cert-connector/src/store/operations.ts";
import { missing } from "../peers.ts";
import { PostgresqlServer } from "../postgresql.ts";
import { findTool } from "../tools.ts";

const postgres = findTool("postgres");
const module = new URL("../../cert-connector/src/store/operations.ts", import.meta.url);
const NOON = Date.UTC(2026, 0, 1, 12);

if (postgres === undefined)
  test("trace and expiry warnings in PostgreSQL", (context) => {
    missing("postgres (Debian package postgresql)", context);
  });

describe.skipIf(postgres === undefined)("what replicas share in PostgreSQL", () => {
  let server: PostgresqlServer;
  beforeAll(async () => {
    server = await PostgresqlServer.start(postgres ?? "");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("traces are kept up to their bound, the newest of them", async () => {
    const postgresql = await server.newPlace();
    await using store = await openStore<CertificateOperations>({ postgresql, module });
    const row = (transactionId: string) => ({
      transactionId,
      deviceId: undefined,
      at: NOON,
      text: "{}",
    });
    const rows = ["a", "b", "c", "d"].map(row);
    await store.run("keepTraces", { rows, at: NOON, maximum: 3 });
    await store.run("keepTraces", { rows: [row("e")], at: NOON, maximum: 3 });
    const kept = await store.query<{ id: string }>(
      "SELECT transaction_id AS id FROM trace_message ORDER BY trace_message.id",
      [],
      10,
    );
    expect(kept.map(({ id }) => id)).toEqual(["c", "d", "e"]);
  });

  test("a threshold is put on record by one of two replicas", async () => {
    const one = await server.newPlace();
    await using first = await openStore<CertificateOperations>({ postgresql: one, module });
    const two = { ...one, replica: "other" };
    await using second = await openStore<CertificateOperations>({ postgresql: two, module });
    const warning = {
      what: "issuing-ca",
      title: "issuing CA's certificate",
      notAfter: NOON,
      thresholdDays: 0.25,
      remedy: "make another",
      at: NOON - 1,
    };
    const outcomes = await Promise.all(
      [first, second].map((store) => store.run("recordExpiryWarning", warning)),
    );
    expect(outcomes.toSorted()).toEqual([false, true]);
    expect(await second.run("recordExpiryWarning", { ...warning, thresholdDays: 0 })).toBe(true);
    expect(await first.run("recordExpiryWarning", { ...warning, thresholdDays: 0 })).toBe(false);
  });
});
