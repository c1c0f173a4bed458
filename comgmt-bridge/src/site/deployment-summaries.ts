import { codeOf } from "@isthmus/shared/errors";
import { facetHash } from "@isthmus/shared/link/inventory-digest";
import { APPLICATION_TABLES } from "../core/device-tables.ts";
import { SeenRows } from "../core/hot-stamps.ts";
import { type ClassName, wmi } from "../core/site-table.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { readPlainRows } from "../protocol/admin-service/page-rows.ts";
import { compare } from "../protocol/admin-service/query.ts";
import type { Asking } from "./admin-service-client.ts";
import { isClassIll } from "./silent-classes.ts";
import type { KindOfSite, LaidOutTable } from "./site-tables.ts";
import { isUnusableAnswer } from "./unusable-answer.ts";
import { readWhole, type WholeReader } from "./whole-reading.ts";

export const DEPLOYMENT_SUMMARY: ClassName = wmi("SMS_DeploymentSummary");

const KEY = "DeploymentID";
const SUMMARY_STAMP = "SummarizationTime";
/** `FeatureType` of an application's deployment. */
const APPLICATION = 1;
const COUNTS = [
  ...["NumberErrors", "NumberInProgress", "NumberOther", "NumberSuccess", "NumberTargeted"],
  "NumberUnknown",
];
/** What a row of SMS_AppDeploymentAssetDetails is told from its former self by. */
const STATE = ["AppStatusType", "DTCI", "EnforcementState", "InstalledState", "UserName"];

/** Own limits: devices of a deployment that is looked into, and of one that was never looked into before. */
const MAX_TARGETED = 5_000;
const MAX_FIRST = 500;
/** Own limit, held in memory; one above it takes the place of the one that was looked at least lately. */
const MAX_DEPLOYMENTS = 50_000;

const LAID_OUT: LaidOutTable = {
  table: {
    ...{ id: DEPLOYMENT_SUMMARY.name, of: DEPLOYMENT_SUMMARY, keyNames: [KEY], isRequired: false },
    ...{ reading: "seldom", rowsPerKey: 1 },
    content: { kind: "columns", facets: { counts: [SUMMARY_STAMP, ...COUNTS] } },
  },
  keyName: KEY,
  select: [KEY, "AssignmentID", "FeatureType", SUMMARY_STAMP, ...COUNTS],
  layout: "",
};

interface SummaryLook {
  readonly devices: KindOfSite;
  readonly asking: Asking;
  /** Rows of a table of which a stamp moved since the last look. */
  readonly moved: (table: LaidOutTable, stamps: readonly string[]) => Promise<readonly Row[]>;
  /** Reads these tables of devices and tells what changed. */
  readonly read: (tables: readonly LaidOutTable[], keys: readonly number[]) => Promise<void>;
}

/**
 * Rows of SMS_AppDeploymentAssetDetails have no time at which they changed. But the site counts each deployment again and again, and stamps
 * that: where the counts are others than before, the deployment's rows are asked for, and the devices read of which one is another.
 * Deployments to more than a page of devices are left to the scan.
 */
export class DeploymentSummaries {
  readonly #reader: WholeReader;
  #counts: Map<string, string> | undefined;
  #lookedInto = new Set<number>();
  #seen = new SeenRows();
  #isMissing = false;

  constructor(reader: WholeReader) {
    this.#reader = reader;
  }

  /** Throws what the client throws; what was not read by then is news once more. */
  async look(of: SummaryLook): Promise<void> {
    const tables = of.devices.others.filter(({ table }) => APPLICATION_TABLES.includes(table.id));
    const states = tables.find(({ table }) => table.id === APPLICATION_TABLES[0]);
    if (states === undefined || this.#isMissing) return;
    try {
      if (this.#counts === undefined) return await this.#learn(of);
      const moved = await of.moved(LAID_OUT, [SUMMARY_STAMP]);
      for (const row of moved) await this.#lookInto(row, states, tables, of);
    } catch (error) {
      this.#seen = new SeenRows();
      this.#lookedInto = new Set();
      throw error;
    }
  }

  /** What the counts are; the stamps are asked for afterwards, so that none is passed over. */
  async #learn({ asking }: SummaryLook): Promise<void> {
    try {
      const { rows } = await readWhole(this.#reader, LAID_OUT, asking);
      this.#counts = new Map();
      for (const row of rows) this.#keep(String(row[KEY]), countsOf(row));
    } catch (error) {
      if (!isMissing(error)) throw error;
      // One that fails or does not answer today is asked again; one that is not there is not.
      this.#isMissing = MISSING.has(codeOf(error));
    }
  }

  async #lookInto(
    row: Row,
    states: LaidOutTable,
    tables: readonly LaidOutTable[],
    { asking, read }: SummaryLook,
  ): Promise<void> {
    const { FeatureType: feature, AssignmentID: assignment, NumberTargeted: targeted } = row;
    const [key, counts] = [String(row[KEY]), countsOf(row)];
    if (feature !== APPLICATION || typeof assignment !== "number") return;
    if (this.#counts?.get(key) === counts) return;
    const isSmall = typeof targeted !== "number" || targeted <= MAX_TARGETED;
    if (isSmall) await read(tables, await this.#moved(states, assignment, asking));
    this.#keep(key, counts);
  }

  #keep(key: string, counts: string): void {
    if (this.#counts === undefined) return;
    this.#counts.delete(key);
    this.#counts.set(key, counts);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > MAX_DEPLOYMENTS && oldest !== undefined) this.#counts.delete(oldest);
  }

  /** Devices of a deployment of which a row is another than when it was last looked into. */
  async #moved(
    { table, keyName, select }: LaidOutTable,
    assignment: number,
    asking: Asking,
  ): Promise<readonly number[]> {
    const { client, pageRows, onRead } = this.#reader;
    onRead?.(table.id, 1);
    const top = Math.min(pageRows, MAX_TARGETED);
    const columns = select?.filter((name) => name === keyName || STATE.includes(name));
    const filter = compare("AssignmentID", "eq", assignment);
    const page = await unlessMissing(
      client.page(table.of, { filter, top, ...(columns && { select: columns }) }, asking),
    );
    if (page === undefined) return [];
    const { rows, hasMore } = readPlainRows(page.body.whole);
    if (rows.length >= top || hasMore) return [];
    const isFirst = !this.#lookedInto.has(assignment);
    if (this.#lookedInto.size >= MAX_DEPLOYMENTS) this.#lookedInto.clear();
    this.#lookedInto.add(assignment);
    const keys = new Set<number>();
    for (const row of rows) {
      const [device, state] = [row[keyName], STATE.map((name) => row[name])];
      if (typeof device !== "number" || !Number.isSafeInteger(device)) continue;
      const name = `${assignment} ${device} ${row["DTCI"]} ${row["UserName"]}`;
      if (this.#seen.isNews(name, facetHash(JSON.stringify(state)))) keys.add(device);
    }
    // Of a large one nobody knows yet which device made the difference: the next time they do.
    return isFirst && keys.size > MAX_FIRST ? [] : [...keys];
  }
}

const MISSING = new Set([
  "site-not-found",
  "site-forbidden",
  "site-bad-request",
  "site-mfa-demanded",
]);

/** Not there, not for us, or it alone fails or does not answer: the scan tells of it then. */
function isMissing(error: unknown): boolean {
  return isUnusableAnswer(error) || isClassIll(error);
}

async function unlessMissing<Value>(asked: Promise<Value>): Promise<Value | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function countsOf(row: Row): string {
  return JSON.stringify(COUNTS.map((name) => row[name]));
}
