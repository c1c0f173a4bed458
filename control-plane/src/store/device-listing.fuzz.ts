import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ComparedValue, Condition, ListedRow, ListQuery, Order } from "../core/list-query.ts";
import { propertiesOf } from "../core/resources.ts";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { StoreRecords } from "./records.ts";

/** Filters, orders and pages over administrators' and synced devices, held against the same done by hand over all rows. */

const RESOURCE = "managedDevices";
const COMPARED = [
  ...["id", "deviceName", "operatingSystem", "serialNumber", "managementAgent", "lastSyncDateTime"],
  ...["coManagementFlags", "isOnline", "azureADDeviceId", "complianceState"],
];
const names = ["Alpha", "alpha", "ALPHA-2", "beta", "Ärger", "x%_", "'", "z\u{1F600}", ""];
const entra = (number: number) => `00000000-1111-4222-8333-${String(number).padStart(12, "0")}`;

let fixture: Awaited<ReturnType<typeof inventoryFixture>>;
let records: StoreRecords;
let all: ListedRow[];

beforeAll(async () => {
  fixture = await inventoryFixture();
  const { store, bridge } = fixture;
  records = new StoreRecords(store, new FakeClock());
  const lease = await bridge.lease();
  const devices = Array.from({ length: 24 }, (_, n) =>
    told(String(n + 1), n + 1, {
      identity: {
        ...(n % 5 === 0 ? {} : { Name: names[n % names.length] }),
        SMSUniqueIdentifier: `GUID:${n}`,
        ...(n % 3 === 0 ? { SerialNumber: names[(n * 7) % names.length] } : {}),
        ...(n % 4 === 0 ? { AADDeviceID: entra(n) } : {}),
      },
      stable: {
        Client: n % 2,
        OperatingSystemNameandVersion: n % 3 ? "Windows NT 10.0" : "Linux",
        CoManagementFlags: n % 4,
      },
      ...(n % 3 === 1
        ? {
            volatile: {
              LastActiveTime: new Date(START + (n % 4)).toISOString(),
              CNIsOnline: n % 2 === 0,
            },
          }
        : {}),
    }),
  );
  await bridge.tell(recordsOf(lease?.lease ?? 0, ...devices));
  const act = { actor: "a", now: START };
  for (let n = 0; n < 8; n++) {
    const deviceName = n % 3 === 0 ? null : (names[n % names.length] ?? null);
    const azureADDeviceId = n % 2 === 0 ? entra(n) : null;
    await store.run("createDevice", {
      ...act,
      id: `${"az0"[n % 3]}-${n}`,
      deviceName,
      azureADDeviceId,
    });
  }
  const order = [{ property: "id", isDescending: false }];
  all = await records.page({ resource: RESOURCE, order, top: 1_000 }, COMPARED);
});

afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

const typeOf = (property: string) => propertiesOf(RESOURCE)[property]?.type;
const folded = (property: string, value: ComparedValue) =>
  propertiesOf(RESOURCE)[property]?.ignoresCase === true && typeof value === "string"
    ? value.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    : value;

/** As the store sorts: null first, text by code points. */
function compared(property: string, left: ComparedValue, right: ComparedValue): number {
  const [a, b] = [folded(property, left), folded(property, right)];
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? -1 : 1;
  if (typeof a === "number" || typeof b === "number") return Number(a) - Number(b);
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function meets(row: ListedRow, condition: Condition): boolean {
  switch (condition.kind) {
    case "and":
      return condition.operands.every((operand) => meets(row, operand));
    case "or":
      return condition.operands.some((operand) => meets(row, operand));
    case "not":
      return !meets(row, condition.operand);
    case "compare":
      return meetsComparison(row[condition.property] ?? null, condition);
    case "startswith":
    case "contains": {
      const value = row[condition.property] ?? null;
      if (value === null) return false;
      const lower = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
      const [whole, part] = [lower(String(value)), lower(condition.text)];
      return condition.kind === "contains" ? whole.includes(part) : whole.startsWith(part);
    }
  }
}

function meetsComparison(value: ComparedValue, of: Condition & { kind: "compare" }): boolean {
  const order = compared(of.property, value, of.value);
  if (of.operator === "eq") return order === 0;
  if (of.operator === "ne") return order !== 0;
  if (value === null) return false;
  return { gt: order > 0, ge: order >= 0, lt: order < 0, le: order <= 0 }[of.operator];
}

const present = (property: string) =>
  fc.nat(1_000).map((n) => all[n % all.length]?.[property] ?? null);
const comparison: fc.Arbitrary<Condition> = fc.constantFrom(...COMPARED).chain((property) => {
  const isText = typeOf(property) === "text";
  const equality = fc.record({
    kind: fc.constant("compare" as const),
    property: fc.constant(property),
    operator: fc.constantFrom("eq" as const, "ne" as const),
    value: isText ? fc.oneof(present(property), fc.constantFrom(...names)) : present(property),
  });
  const isOrdered = typeOf(property) !== "boolean";
  const ordered = fc.record({
    kind: fc.constant("compare" as const),
    property: fc.constant(property),
    operator: fc.constantFrom("gt" as const, "ge" as const, "lt" as const, "le" as const),
    value: present(property).map((value) => value ?? (isText ? "m" : START)),
  });
  const match = fc.record({
    kind: fc.constantFrom("startswith" as const, "contains" as const),
    property: fc.constant(property),
    text: fc.constantFrom(...names, "al", "A", "0000"),
  });
  return fc.oneof(equality, ...(isOrdered ? [ordered] : []), ...(isText ? [match] : []));
});
const { condition } = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    comparison,
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      operands: fc.array(tie("condition"), { minLength: 2, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("not" as const), operand: tie("condition") }),
  ),
}));
const orders = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...COMPARED), fc.boolean()), {
    maxLength: 2,
    selector: ([name]) => name,
  })
  .map((terms): Order[] => {
    const given = terms.map(([property, isDescending]) => ({ property, isDescending }));
    const isTotal = given.some(({ property }) => property === "id");
    return isTotal ? given : [...given, { property: "id", isDescending: false }];
  });

function sorted(rows: readonly ListedRow[], order: readonly Order[]): ListedRow[] {
  return [...rows].sort((left, right) => {
    for (const { property, isDescending } of order) {
      const found = compared(property, left[property] ?? null, right[property] ?? null);
      if (found !== 0) return isDescending ? -found : found;
    }
    return 0;
  });
}

test("whatever is filtered and however it is sorted, pages are what comes out by hand", async () => {
  expect(all.length).toBeGreaterThan(24);
  await fc.assert(
    fc.asyncProperty(
      condition,
      orders,
      fc.integer({ min: 1, max: 9 }),
      async (wanted, order, top) => {
        const expected = sorted(
          all.filter((row) => meets(row, wanted)),
          order,
        ).map(({ id }) => id);
        const query: ListQuery = { resource: RESOURCE, condition: wanted, order, top };
        expect(await records.count(query)).toBe(expected.length);
        const found: ComparedValue[] = [];
        let after: ComparedValue[] | undefined;
        do {
          const page = await records.page(
            after === undefined ? query : { ...query, after },
            COMPARED,
          );
          const shown = page.slice(0, top);
          found.push(...shown.map(({ id }) => id ?? null));
          const last = page.length > top ? shown.at(-1) : undefined;
          after = last && order.map(({ property }) => last[property] ?? null);
        } while (after !== undefined);
        expect(found).toEqual(expected);
      },
    ),
    { numRuns: fuzzRuns(400) },
  );
});
