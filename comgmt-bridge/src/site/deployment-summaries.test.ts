import { ConnectorError } from "@isthmus/shared/errors";
import { beforeEach, expect, test } from "vitest";
import { deviceTables } from "../core/device-tables.ts";
import type { Query } from "../protocol/admin-service/query.ts";
import { AnswerBody } from "./answer-body.ts";
import { DeploymentSummaries } from "./deployment-summaries.ts";
import type { KindOfSite, LaidOutTable } from "./site-tables.ts";

const { spine, others } = deviceTables({
  ...{ inventoryClasses: [], isUpdateComplianceRead: true, areApplicationStatesRead: true },
  areBoundaryGroupsRead: false,
});
const laidOut = (table: LaidOutTable["table"]): LaidOutTable => ({
  ...{ table, keyName: "ResourceID", select: undefined, layout: table.id },
});
const devices: KindOfSite = {
  ...{ kind: "device", isInRanges: true, spine: laidOut(spine), others: others.map(laidOut) },
  ...{ isAllThereIs: true, ids: new Set<string>() },
};
const asking = { lane: "hint", signal: new AbortController().signal } as const;

const summary = (id: number, NumberErrors = 0) => ({
  ...{ DeploymentID: id, AssignmentID: id, FeatureType: 1, NumberTargeted: 1, NumberErrors },
});

/** Of all deployments at first; a text is the fault that they end with. */
let all: readonly ReturnType<typeof summary>[] | string;
/** Assignments whose rows were asked for. */
let lookedInto: unknown[];
let summaries: DeploymentSummaries;

beforeEach(() => {
  lookedInto = [];
  const page = async ({ name }: { readonly name: string }, { filter }: Query) => {
    if (name !== "SMS_DeploymentSummary") {
      lookedInto.push(filter?.kind === "comparison" ? filter.value : undefined);
      return { body: bodyOf([]), servedAt: undefined };
    }
    if (typeof all === "string") throw new ConnectorError(all, "x", { isRetryable: true });
    return { body: bodyOf(filter === undefined ? all : []), servedAt: undefined };
  };
  summaries = new DeploymentSummaries({ client: { page }, pageRows: 100_000, isOrdered: true });
});

const bodyOf = (value: readonly unknown[]) =>
  new AnswerBody([Buffer.from(JSON.stringify({ value }))]);
const look = (...moved: ReturnType<typeof summary>[]) =>
  summaries.look({ devices, asking, moved: async () => moved, read: async () => {} });

test.each(["site-class-silent", "site-failed"])(
  "deployments that end with %s at first are asked for again, and then looked into",
  async (code) => {
    all = code;
    await look();
    all = [summary(1), summary(2)];
    await look();
    await look(summary(1), summary(2, 1));
    expect(lookedInto).toEqual([2]);
  },
);

test("a site that has no deployments for us is not asked again", async () => {
  all = "site-not-found";
  await look();
  all = [summary(1)];
  await look();
  await look(summary(1, 1));
  expect(lookedInto).toEqual([]);
});

test("of so many deployments the counts are kept and no more", async () => {
  all = Array.from({ length: 50_001 }, (_, id) => summary(id));
  await look();
  await look(summary(0), summary(50_000));
  // That of the first was forgotten, so it is news.
  expect(lookedInto).toEqual([0]);
  await look(summary(0), summary(50_000), summary(1));
  expect(lookedInto).toEqual([0, 1]);
});
