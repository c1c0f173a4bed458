import { beforeEach, expect, test } from "vitest";
import { ActionFixture } from "../testing/action-fixture.ts";
import {
  type DeadLetter,
  keepDeadLetter,
  MAX_DEAD_LETTER_OCTETS,
  MAX_DEAD_LETTERS,
} from "./dead-letters.ts";

let fixture: ActionFixture;
const letter: DeadLetter = {
  ...{ connectorId: "bridge-1", stream: "inventory", seq: 1, code: "entry-invalid" },
  ...{ bytes: new Uint8Array(10), now: 1_000_000_000 },
};

beforeEach(async () => {
  fixture = new ActionFixture();
  await fixture.bridge("bridge-1");
});

const keep = (more: Partial<DeadLetter> = {}) =>
  keepDeadLetter(fixture.store.transaction, { ...letter, ...more });
const kept = async () =>
  Number((await fixture.all("SELECT count(*) AS n FROM dead_letter"))[0]?.["n"]);
const tellings = () =>
  fixture.all("SELECT detail FROM connector_event WHERE event = 'dead-letters.full'");

test("so many are kept of a connector, and then it is told once an hour that no more are", async () => {
  const { transaction } = fixture.store;
  transaction.run("INSERT INTO dead_letter_usage VALUES ('bridge-1', ?, 0)", MAX_DEAD_LETTERS - 2);
  keep();
  expect([await kept(), (await tellings()).length]).toEqual([1, 0]);
  keep();
  expect([await kept(), (await tellings()).length]).toEqual([2, 0]);
  keep();
  keep();
  expect([await kept(), (await tellings()).length]).toEqual([2, 1]);
  keep({ now: letter.now + 3_600_001 });
  expect((await tellings()).length).toBe(2);
  keep({ connectorId: "another" });
  expect(await kept()).toBe(3);
});

test("so many octets are kept, and there is room again once old ones are thrown away", async () => {
  const large = new Uint8Array(MAX_DEAD_LETTER_OCTETS - 10);
  keep({ bytes: large });
  keep({ bytes: new Uint8Array(11) });
  expect(await kept()).toBe(1);
  keep({ bytes: new Uint8Array(10) });
  expect(await kept()).toBe(2);
  keep({ bytes: new Uint8Array(1) });
  expect(await kept()).toBe(2);
  await fixture.store.run("pruneOldRecords", { now: letter.now + 91 * 86_400_000 });
  expect(await kept()).toBe(0);
  keep({ bytes: large });
  expect(await kept()).toBe(1);
});
