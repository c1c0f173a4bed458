import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { SYSTEM } from "../protocol/admin-service/rows.ts";
import { asking, clientOf } from "../testing/site-under-test.ts";
import {
  type Behaviour,
  FIRST_ID,
  type SeenRequest,
  type StrictAdminService,
  startStrictAdminService,
} from "../testing/strict-admin-service.ts";
import { type KeyRange, readKeyRange } from "./read-key-range.ts";

const RANGE: KeyRange = {
  ...{ of: SYSTEM, keyName: "ResourceId", after: 0, pageRows: 10, isOrdered: true },
};

/** The keys of a whole range. */
async function keysOf(service: StrictAdminService, range: Partial<KeyRange> = {}) {
  using client = clientOf(service);
  const keys: unknown[] = [];
  for await (const { rows } of readKeyRange(client, { ...RANGE, ...range }, asking())) {
    keys.push(...rows.map((row) => row["ResourceId"]));
  }
  return keys;
}

const rowsOf = (...ids: unknown[]): Behaviour => ({
  ...{ kind: "answer", status: 200, body: { value: ids.map((id) => ({ ResourceId: id })) } },
});

/** Answers pages of devices by `page`, the questions behind them truly. */
function withPages(
  service: StrictAdminService,
  page: (of: SeenRequest, count: number) => Behaviour,
) {
  let count = 0;
  service.behave = (request) =>
    request.path.includes("$top=1&") || request.path.endsWith("$top=1")
      ? { kind: "serve" }
      : page(request, count++);
}

test.each([0, 1, 9, 10, 11, 20, 25])(
  "all of %i devices are read, in order, each once",
  async (count) => {
    await using service = await startStrictAdminService();
    service.devices = service.devices.slice(0, count);
    expect(await keysOf(service)).toEqual(service.devices);
  },
);

test("a range holds what is above its start through its end", async () => {
  await using service = await startStrictAdminService();
  const [after, through] = [FIRST_ID + 4, FIRST_ID + 30];
  const wanted = service.devices.filter((id) => id > after && id <= through);
  expect(await keysOf(service, { after, through })).toEqual(wanted);
  const [first] = service.requests;
  expect(first?.path).toContain(
    `$filter=ResourceId gt ${after} and ResourceId le ${through}&$orderby=ResourceId asc&$top=10`,
  );
});

test("a range whose last key is its end asks for nothing behind it", async () => {
  await using service = await startStrictAdminService();
  await keysOf(service, { through: FIRST_ID + 4 });
  expect(service.requests).toHaveLength(1);
});

test("where the site does not order, rows that come in order by themselves are as good", async () => {
  await using service = await startStrictAdminService();
  expect(await keysOf(service, { isOrdered: false })).toEqual(service.devices);
  expect(service.requests[0]?.path).not.toContain("$orderby");
});

test("the key is always among what is selected", async () => {
  await using service = await startStrictAdminService();
  await keysOf(service, { select: ["Name"] });
  expect(service.requests[0]?.path).toContain("$select=ResourceId,Name");
});

test("a page that lacks rows once is read again, and one that always does ends the range", async () => {
  await using service = await startStrictAdminService();
  const short = rowsOf(FIRST_ID, FIRST_ID + 2);
  withPages(service, (_request, count) => (count === 0 ? short : { kind: "serve" }));
  expect(await keysOf(service)).toEqual(service.devices);
  withPages(service, () => short);
  expect(await rejectedCode(() => keysOf(service))).toBe("page-short");
  withPages(service, () => rowsOf());
  expect(await rejectedCode(() => keysOf(service))).toBe("page-short");
});

test("a page that says there is more is no short one", async () => {
  await using service = await startStrictAdminService();
  const value = [{ ResourceId: FIRST_ID }, { ResourceId: FIRST_ID + 2 }];
  const body = { value, "@odata.nextLink": "https://elsewhere.test/" };
  withPages(service, (_request, count) =>
    count === 0 ? { kind: "answer", status: 200, body } : { kind: "serve" },
  );
  expect(await keysOf(service)).toEqual(service.devices);
});

test.each<[string, Behaviour]>([
  ["page-repeated", rowsOf(...Array.from({ length: 10 }, (_, index) => FIRST_ID + index * 2))],
  ["page-out-of-range", rowsOf(FIRST_ID + 2)],
  ["page-unsorted", rowsOf(FIRST_ID + 24, FIRST_ID + 22)],
  ["page-unsorted", rowsOf(FIRST_ID + 24, FIRST_ID + 24)],
  ["page-key", rowsOf("16777222")],
  ["page-key", rowsOf(undefined)],
  ["page-too-long", rowsOf(...Array.from({ length: 11 }, (_, index) => FIRST_ID + 20 + index))],
  ["site-failed", { kind: "answer", status: 500, body: "" }],
  ["site-interrupted", { kind: "cut" }],
  ["admin-service-answer", { kind: "answer", status: 200, body: "{" }],
])("%s: a second page that cannot be trusted ends the range", async (code, behaviour) => {
  await using service = await startStrictAdminService();
  withPages(service, (_request, count) => (count === 1 ? behaviour : { kind: "serve" }));
  expect(await rejectedCode(() => keysOf(service))).toBe(code);
});

test("a row above the end of the range is refused", async () => {
  await using service = await startStrictAdminService();
  withPages(service, () => rowsOf(FIRST_ID + 8));
  const range = { through: FIRST_ID + 7 };
  expect(await rejectedCode(() => keysOf(service, range))).toBe("page-out-of-range");
});
