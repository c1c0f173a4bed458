import { expect, test } from "vitest";
import { deviceTables } from "../core/device-tables.ts";
import type { Query } from "../protocol/admin-service/query.ts";
import { AnswerBody } from "./answer-body.ts";
import { KeyedReader } from "./keyed-reader.ts";
import type { LaidOutTable } from "./site-tables.ts";

const { spine } = deviceTables({
  ...{ inventoryClasses: [], isUpdateComplianceRead: false, areApplicationStatesRead: false },
  areBoundaryGroupsRead: false,
});
const laidOut: LaidOutTable = {
  ...{ table: spine, keyName: "ResourceId", select: undefined, layout: spine.id },
};
const kind = {
  ...({
    kind: "device",
    isInRanges: true,
    spine: laidOut,
    others: [],
    isAllThereIs: true,
  } as const),
  ids: new Set([spine.id]),
};
const of = { kind, tables: [laidOut], scope: { collections: [] } };
const asking = { lane: "hint", signal: new AbortController().signal } as const;

const keysOf = ({ filter }: Query): number[] =>
  filter?.kind === "or"
    ? filter.parts.map((part) => (part.kind === "comparison" ? Number(part.value) : Number.NaN))
    : [];

test("what one reading learns of the site while another is under way takes no record from that one", async () => {
  let isHeld = true;
  const held = Promise.withResolvers<void>();
  const page = async (_of: unknown, query: Query) => {
    const keys = keysOf(query);
    if (isHeld && keys.includes(101)) await held.promise;
    // Of several it answers for the first alone.
    const value = keys.slice(0, 1).map((ResourceId) => ({ ResourceId, Name: `PC${ResourceId}` }));
    return { body: new AnswerBody([Buffer.from(JSON.stringify({ value }))]), servedAt: undefined };
  };
  const reader = new KeyedReader({ client: { page }, pageRows: 1_000 });
  const slow = reader.read(of, [101, 102, 103], asking);
  expect((await reader.read(of, [1, 2, 3], asking)).records).toHaveLength(3);
  isHeld = false;
  held.resolve();
  expect((await slow).records).toHaveLength(3);
});
