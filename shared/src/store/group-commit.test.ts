import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { migrations, operations } from "../testing/counter-store.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { openForWriting } from "./database.ts";
import { GroupCommit } from "./group-commit.ts";
import { migrate } from "./migrate.ts";

const add = (n: number, characters: number) => ({
  name: "add",
  argument: { n, text: "x".repeat(characters) },
});

/** A database that may not grow beyond `pages` of 4 KiB, as on a full disk. */
function limited(pages: number) {
  const folder = temporaryFolder();
  const file = join(folder.path, "a.db");
  const database = openForWriting(file);
  migrate(database, file, migrations, 0);
  database.exec(`PRAGMA max_page_count = ${pages}`);
  const commit = new GroupCommit({ database, operations, file, isReadOnly: false });
  return {
    database,
    commit,
    [Symbol.dispose]() {
      database.close();
      folder[Symbol.dispose]();
    },
  };
}

function numbers(database: DatabaseSync): unknown[] {
  return database
    .prepare("SELECT n FROM entry ORDER BY n")
    .all()
    .map(({ n }) => n);
}

test("on a full disk what fits is committed, what does not fails alone and may be tried again", () => {
  using made = limited(20);
  const outcomes = made.commit.run([add(1, 10), add(2, 200_000), add(3, 10)]);
  expect(outcomes[0]).toMatchObject({ ok: true });
  expect(outcomes[1]).toMatchObject({
    ok: false,
    error: { code: "store-full", isRetryable: true },
  });
  expect(outcomes[2]).toMatchObject({ ok: true });
  expect(numbers(made.database)).toEqual([1, 3]);
});

test("once there is room again the store goes on", () => {
  using made = limited(20);
  expect(made.commit.run([add(1, 200_000)])[0]).toMatchObject({ ok: false });
  made.database.exec("PRAGMA max_page_count = 1000");
  expect(made.commit.run([add(1, 200_000)])[0]).toMatchObject({ ok: true });
});

test("one that throws takes only itself back, the first time as well as later", () => {
  using made = limited(1_000);
  for (let n = 0; n < 250; n += 3) {
    const refused = { name: "addThenRefuse", argument: n + 1 };
    const outcomes = made.commit.run([add(n, 1), refused, add(n + 2, 1)]);
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(outcomes[1]).toMatchObject({ error: { code: "counter-refused" } });
  }
  const kept = Array.from({ length: 252 }, (_, n) => n).filter((n) => n % 3 !== 1);
  expect(numbers(made.database)).toEqual(kept);
});

test("an operation that nobody has written is an error of its own", () => {
  using made = limited(20);
  const outcomes = made.commit.run([{ name: "none", argument: 1 }, add(1, 1)]);
  expect(outcomes[0]).toMatchObject({ error: { code: "store-operation-unknown" } });
  expect(outcomes[1]).toMatchObject({ ok: true });
});

test("a name from the prototype is no operation", () => {
  using made = limited(20);
  const [outcome] = made.commit.run([{ name: "toString", argument: 1 }]);
  expect(outcome).toMatchObject({ error: { code: "store-operation-unknown" } });
});

test("damage in the file ends the store's life: nothing more is run on it", () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "a.db");
  const open = () => {
    const database = openForWriting(file);
    const commit = new GroupCommit({ database, operations, file, isReadOnly: false });
    return { database, commit };
  };
  const before = open();
  migrate(before.database, file, migrations, 0);
  for (let n = 0; n < 50; n++) before.commit.run([add(n, 3_000)]);
  before.database.close();
  const bytes = readFileSync(file);
  bytes.fill(0xff, 2 * 4_096);
  writeFileSync(file, bytes);

  const { database, commit } = open();
  const [damaged] = commit.run([{ name: "count", argument: undefined }]);
  expect(damaged).toMatchObject({ error: { code: "store-corrupt", isRetryable: false } });
  expect(commit.run([add(99, 1)])[0]).toMatchObject({ error: { code: "store-corrupt" } });
  database.close();
});
