import {
  applicationsPath,
  extensionDataPath,
  queryResultPath,
  recoveryKeysPath,
} from "../protocol/admin-service/action-requests.ts";
import {
  type ApplicationOnDevice,
  type OperationStatus,
  type QueryStatus,
  type RecoveryKeyId,
  readApplications,
  readClientOperation,
  readDevice,
  readExtensionData,
  readOperationStatus,
  readQueryResult,
  readQueryStatus,
  readRecoveryKeyIds,
  readScript,
  readScriptStatus,
  readScriptTask,
  type ScriptStatus,
  type StoredScript,
} from "../protocol/admin-service/action-rows.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import type { ClassName } from "../protocol/admin-service/path.ts";
import { compare, type Filter } from "../protocol/admin-service/query.ts";
import { DEVICE, MEMBERSHIP } from "../protocol/admin-service/rows.ts";
import type { AdminServiceClient, Asking } from "./admin-service-client.ts";
import { probeCapabilities } from "./probe-capabilities.ts";
import { readKeyRange } from "./read-key-range.ts";
import { SilentClasses } from "./silent-classes.ts";

/** Own limits: keys asked for in one request, and how far apart devices may be to be read in one range. */
const KEYS_AT_ONCE = 20;
const CLUSTER_GAP = 500;

const MEMBER = ["ResourceID", "ResourceType"];
/** `ResourceType` of SMS_R_System. */
const DEVICE_TYPE = 5;

const CLIENT_OPERATION: ClassName = { route: "wmi", name: "SMS_ClientOperation" };
const OPERATION_STATUS: ClassName = { route: "wmi", name: "SMS_ClientOperationStatus" };
const SCRIPT_TASK: ClassName = { route: "wmi", name: "SMS_ScriptsExecutionTask" };
const SCRIPT_STATUS: ClassName = { route: "wmi", name: "SMS_ScriptsExecutionStatus" };
const QUERY_STATUS: ClassName = { route: "v1.0", name: "SMS_CMPivotStatus" };
const SCRIPTS: ClassName = { route: "wmi", name: "SMS_Scripts" };

export interface FoundOperation {
  readonly id: number;
  readonly createdBy: string | undefined;
  /** As the site writes it. */
  readonly requestedTime: string | undefined;
}

/** Each is undefined where the site does not tell. */
export interface SiteOperation {
  readonly type: number | undefined;
  /** As the site writes it. */
  readonly requestedTime: string | undefined;
  /** ResourceIDs, sorted. */
  readonly targets: readonly number[] | undefined;
}

export interface TargetDevice {
  readonly smsId: string | undefined;
  readonly isOnline: boolean;
}

/** What actions read of a site. Every method throws what the client throws, and ProtocolError. */
export class ActionSite {
  readonly #client: SilentClasses;
  readonly #pageRows: number;
  #isOrdered: boolean | undefined;

  constructor(client: AdminServiceClient, pageRows: number) {
    // What hangs for one action is asked for by one at a time, and keeps the places free for the others.
    this.#client = new SilentClasses(client);
    this.#pageRows = pageRows;
  }

  /** Members of a collection, sorted; at most one more than `most`. */
  async members(collectionId: string, most: number, asking: Asking): Promise<readonly number[]> {
    return await this.#memberKeys(collectionId, { after: 0 }, most + 1, asking);
  }

  /** Which of these devices are in any of the collections. */
  async membersAmong(
    resourceIds: readonly number[],
    collections: readonly string[],
    asking: Asking,
  ): Promise<ReadonlySet<number>> {
    const wanted = new Set(resourceIds);
    const found = new Set<number>();
    for (const collection of collections) {
      for (const { first, last } of clustersOf(resourceIds)) {
        const range = { after: first - 1, through: last };
        const keys = await this.#memberKeys(collection, range, Number.POSITIVE_INFINITY, asking);
        for (const key of keys) if (wanted.has(key)) found.add(key);
      }
    }
    return found;
  }

  /** Devices that are there and may be seen. */
  async devices(
    resourceIds: readonly number[],
    asking: Asking,
  ): Promise<ReadonlyMap<number, TargetDevice>> {
    const select = ["MachineId", "SMSID", "CNIsOnline"];
    const rows = await this.#byKeys(DEVICE, "MachineId", resourceIds, asking, select);
    return new Map(
      rows.map((row) => {
        const { MachineId, SMSID, CNIsOnline } = readDevice(row);
        return [MachineId, { smsId: SMSID ?? undefined, isOnline: Boolean(CNIsOnline) }];
      }),
    );
  }

  /** With its text and the definition of its parameters. */
  async script(scriptGuid: string, asking: Asking): Promise<StoredScript> {
    return readScript(await this.#client.one(SCRIPTS, scriptGuid.toUpperCase(), asking));
  }

  /** Operations of a type that were asked for since a time of the site's clock. */
  async operationsSince(
    type: number,
    since: number,
    asking: Asking,
  ): Promise<readonly FoundOperation[]> {
    const where: Filter = {
      kind: "and",
      parts: [compare("Type", "eq", type), compare("RequestedTime", "ge", { at: since })],
    };
    const rows = await this.#range(CLIENT_OPERATION, "ID", where, asking);
    return rows.map((row) => {
      const { ID, CreatedBy, RequestedTime } = readClientOperation(row);
      const requestedTime = RequestedTime ?? undefined;
      return { id: ID, createdBy: CreatedBy ?? undefined, requestedTime };
    });
  }

  /** Asked by key, since lists may leave devices out. */
  async operation(operationId: number, asking: Asking): Promise<SiteOperation> {
    const row = await this.#client.one(CLIENT_OPERATION, operationId, asking);
    const { Type, RequestedTime, TargetResourceIDs } = readClientOperation(row);
    return {
      type: Type ?? undefined,
      requestedTime: RequestedTime ?? undefined,
      targets: TargetResourceIDs?.toSorted((a, b) => a - b),
    };
  }

  /** The script and version of an operation that runs one. */
  async scriptOf(
    operationId: number,
    asking: Asking,
  ): Promise<{ readonly guid: string; readonly version: string } | undefined> {
    const filter = compare("ClientOperationId", "eq", operationId);
    const [row] = (await this.#client.rows(SCRIPT_TASK, { filter, top: 1 }, asking)).rows;
    if (row === undefined) return undefined;
    const { ScriptGuid, ScriptVersion } = readScriptTask(row);
    return { guid: (ScriptGuid ?? "").toLowerCase(), version: ScriptVersion ?? "" };
  }

  async operationStatuses(
    operationIds: readonly number[],
    asking: Asking,
  ): Promise<ReadonlyMap<number, OperationStatus>> {
    const rows = await this.#byKeys(OPERATION_STATUS, "ID", operationIds, asking);
    return new Map(rows.map(readOperationStatus).map((status) => [status.ID, status]));
  }

  async scriptStatuses(operationId: number, asking: Asking): Promise<readonly ScriptStatus[]> {
    const where = compare("ClientOperationId", "eq", operationId);
    return (await this.#range(SCRIPT_STATUS, "ResourceId", where, asking)).map(readScriptStatus);
  }

  /** Of operations for one device each. */
  async queryStatuses(
    operationIds: readonly number[],
    asking: Asking,
  ): Promise<ReadonlyMap<number, QueryStatus>> {
    const rows = await this.#byKeys(QUERY_STATUS, "ClientOperationId", operationIds, asking);
    return new Map(rows.map(readQueryStatus).map((status) => [status.ClientOperationId, status]));
  }

  /** Throws ConnectorError `cmpivot-not-ready`. */
  async queryResult(
    resourceId: number,
    operationId: number,
    asking: Asking,
  ): Promise<readonly Row[]> {
    const path = queryResultPath(resourceId, operationId);
    return readQueryResult(await this.#client.ask(path, { ...asking, asked: "cmpivot-result" }));
  }

  async applications(resourceId: number, asking: Asking): Promise<readonly ApplicationOnDevice[]> {
    const path = applicationsPath(resourceId);
    return readApplications(await this.#client.ask(path, { ...asking, asked: "rows" }));
  }

  async recoveryKeyIds(resourceId: number, asking: Asking): Promise<readonly RecoveryKeyId[]> {
    const path = recoveryKeysPath(resourceId);
    return readRecoveryKeyIds(await this.#client.ask(path, { ...asking, asked: "rows" }));
  }

  async customProperties(
    resourceId: number,
    asking: Asking,
  ): Promise<Readonly<Record<string, string>>> {
    const path = extensionDataPath(resourceId);
    return readExtensionData(await this.#client.ask(path, { ...asking, asked: "rows" }));
  }

  async #memberKeys(
    collectionId: string,
    range: { readonly after: number; readonly through?: number },
    most: number,
    asking: Asking,
  ): Promise<readonly number[]> {
    const keys: number[] = [];
    const where = compare("CollectionID", "eq", collectionId);
    const of = { of: MEMBERSHIP, keyName: "ResourceID", select: MEMBER, where, ...range };
    const pages = readKeyRange(this.#client, { ...of, ...(await this.#paging(asking)) }, asking);
    for await (const { rows } of pages) {
      // A collection of users has ids of users.
      const devices = rows.filter((row) => (row["ResourceType"] ?? DEVICE_TYPE) === DEVICE_TYPE);
      keys.push(...devices.map((row) => Number(row["ResourceID"])));
      if (keys.length >= most) break;
    }
    return keys.slice(0, most);
  }

  async #range(
    of: ClassName,
    keyName: string,
    where: Filter,
    asking: Asking,
  ): Promise<readonly Row[]> {
    const found: Row[] = [];
    const paging = await this.#paging(asking);
    const pages = readKeyRange(this.#client, { of, keyName, after: 0, where, ...paging }, asking);
    for await (const { rows } of pages) found.push(...rows);
    return found;
  }

  /** One row for each key at most. */
  async #byKeys(
    of: ClassName,
    keyName: string,
    keys: readonly number[],
    asking: Asking,
    select?: readonly string[],
  ): Promise<readonly Row[]> {
    const found: Row[] = [];
    for (let from = 0; from < keys.length; from += KEYS_AT_ONCE) {
      const parts = keys.slice(from, from + KEYS_AT_ONCE).map((key) => compare(keyName, "eq", key));
      const [only] = parts;
      if (only === undefined) break;
      const filter: Filter = parts.length === 1 ? only : { kind: "or", parts };
      const query = { filter, top: parts.length, ...(select !== undefined && { select }) };
      found.push(...(await this.#client.rows(of, query, asking)).rows);
    }
    return found;
  }

  async #paging(
    asking: Asking,
  ): Promise<{ readonly pageRows: number; readonly isOrdered: boolean }> {
    if (this.#isOrdered === undefined) {
      const { orderBy } = await probeCapabilities(this.#client, 1, asking);
      // Of a site with one device nobody can tell; it is asked again.
      if (orderBy === undefined) return { pageRows: this.#pageRows, isOrdered: false };
      this.#isOrdered = orderBy;
    }
    return { pageRows: this.#pageRows, isOrdered: this.#isOrdered };
  }
}

/** Devices whose keys lie close together are read as one range. */
function clustersOf(
  resourceIds: readonly number[],
): readonly { readonly first: number; readonly last: number }[] {
  const clusters: { first: number; last: number }[] = [];
  for (const id of resourceIds.toSorted((a, b) => a - b)) {
    const cluster = clusters.at(-1);
    if (cluster !== undefined && id - cluster.last <= CLUSTER_GAP) cluster.last = id;
    else clusters.push({ first: id, last: id });
  }
  return clusters;
}
