import { join } from "node:path";
import { openForWriting, StatementCache } from "@isthmus/shared/store/database";
import { migrate } from "@isthmus/shared/store/migrate";
import type { Migration } from "@isthmus/shared/store/transaction";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { recordsOfDevice } from "./device-timeline.ts";
import { arrangeIdentifiers } from "./inventory-identifiers.ts";
import { migrations } from "./module.ts";
import { recordTimeline } from "./timeline-operations.ts";

const smsid = (n: number) => `GUID:00000000-0000-0000-0000-${String(n).padStart(12, "0")}`;
const entra = (n: number) => `abcdef00-0000-4000-8000-${String(n + 500).padStart(12, "0")}`;
/** Numbers of records from which fresh ids are put to the rest. */
const ENOUGH = [8_190, 8_191] as const;

/** A store with these migrations and devices 1 to 9. */
function filled(file: string, of: readonly Migration[]) {
  const database = openForWriting(file);
  migrate(database, file, of, 1);
  const transaction = new StatementCache(database);
  database.exec(
    "INSERT INTO inventory_source (id, name, type, created_at) VALUES (1, 'CM1', 'configmgr', 1)",
  );
  for (let n = 1; n < 10; n++) {
    transaction.run(
      `INSERT INTO inventory_record (source_id, kind, key, revision, digest, bucket, first_seen_at, changed_at, smsid, entra_device_id)
       VALUES (1, 'device', ?, 1, '', 0, 1, 1, ?, ?)`,
      String(n),
      smsid(n),
      entra(n),
    );
    recordTimeline(transaction, {
      ...{ recordId: n, at: 1, now: 1 },
      kind: "device.appeared",
      title: "t",
    });
  }
  return { database, transaction };
}

const found = (transaction: StatementCache, ids: readonly string[]) =>
  ids.map((id) => recordsOfDevice(transaction, id));
const all = (of: (n: number) => string) => [1, 2, 3, 4, 5, 6, 7, 8, 9].map(of);
const EACH = all(String).map((n) => [Number(n)]);

test("ids are found while they are fresh and once they were put to the rest, whatever their case", () => {
  using folder = temporaryFolder();
  const { database, transaction } = filled(join(folder.path, "store.db"), migrations);
  using _ = database;
  const fresh = () =>
    transaction.get("SELECT count(*) AS n FROM inventory_fresh_identifier")?.["n"];
  for (const [first, last, left] of [[1, 9, 18] as const, [...ENOUGH, 0] as const]) {
    arrangeIdentifiers(transaction, first, last);
    expect(fresh()).toBe(left);
    expect(found(transaction, all(smsid))).toEqual(EACH);
    expect(
      found(
        transaction,
        all((n) => smsid(n).slice(5)),
      ),
    ).toEqual(EACH);
    expect(
      found(
        transaction,
        all((n) => entra(n).toUpperCase()),
      ),
    ).toEqual(EACH);
    expect(found(transaction, [smsid(10), entra(10), "1", "", "000501"])).toEqual([
      [],
      [],
      [],
      [],
      [],
    ]);
  }
});

test.each([
  ["fresh", 1, 9],
  ["put to the rest", ...ENOUGH],
])(
  "ids that were %s are not found once they changed or their record was thrown away",
  (_, ...records) => {
    using folder = temporaryFolder();
    const { database, transaction } = filled(join(folder.path, "store.db"), migrations);
    using __ = database;
    arrangeIdentifiers(transaction, ...records);
    const set = "UPDATE inventory_record SET smsid = ?, entra_device_id = ? WHERE id = ?";
    transaction.run(set, smsid(20), null, 1);
    transaction.run(set, smsid(2), entra(1), 2);
    transaction.run("DELETE FROM inventory_record WHERE id = 3");
    const asked = [smsid(1), entra(1), smsid(20), smsid(2), entra(2), smsid(3), entra(3)];
    expect(found(transaction, asked)).toEqual([[], [2], [1], [2], [], [], []]);
    const left = `SELECT record_id, count(*) AS n FROM (SELECT * FROM inventory_identifier UNION ALL SELECT * FROM inventory_fresh_identifier)
    WHERE record_id < 4 GROUP BY record_id`;
    expect(transaction.all(left)).toEqual([
      { record_id: 1, n: 1 },
      { record_id: 2, n: 2 },
    ]);
  },
);

test.each(["inventory-4-short-indexes", "inventory-5-identifiers"])(
  "a store of a release before %s keeps what it has, also where its upgrade is broken off",
  (first) => {
    using folder = temporaryFolder();
    const file = join(folder.path, "store.db");
    const { database, transaction } = filled(
      file,
      migrations.filter(({ id }) => !id.startsWith("inventory") || id < first),
    );
    using _ = database;
    const broken = { id: "broken", sql: "SELECT no_such_function()" };
    const tables = () => transaction.all("SELECT name FROM sqlite_schema ORDER BY name");
    const before = tables();
    expect(() => migrate(database, file, [...migrations, broken], 2)).toThrow();
    expect(tables()).toEqual(before);
    migrate(database, file, migrations, 3);
    expect(found(transaction, all(smsid))).toEqual(EACH);
    expect(found(transaction, all(entra))).toEqual(EACH);
    expect(transaction.get("SELECT count(*) AS n FROM timeline_event")).toEqual({ n: 9 });
    expect(transaction.get("PRAGMA integrity_check")).toEqual({ integrity_check: "ok" });
  },
);
