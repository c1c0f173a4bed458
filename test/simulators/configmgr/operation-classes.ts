import { parsePivot } from "./cmpivot-query.ts";
import { runOnDevice } from "./cmpivot-run.ts";
import type { Device } from "./device.ts";
import {
  alphabetical,
  complex,
  date,
  type EntityClass,
  flag,
  int,
  type KeyRange,
  lazy,
  text,
} from "./entity-class.ts";
import type { Fleet } from "./fleet.ts";
import type { Operation, Operations, Outcome, Script } from "./operations.ts";

interface Status {
  readonly operation: Operation;
  readonly outcome: Outcome;
  readonly device: Device;
}

/** What the site tells of operations: SMS_ClientOperation(Status), SMS_ScriptsExecution*, SMS_CMPivotStatus. */
export function operationClasses(
  operations: Operations,
  fleet: Fleet,
  isQuoted: boolean,
): EntityClass[] {
  const ofKind = (kind: string | undefined, ranges: readonly KeyRange[]) =>
    [...operations.all()].filter(
      ({ id, task }) =>
        (kind === undefined || task.kind === kind) &&
        ranges.some(({ min, max }) => id >= min && id <= max),
    );
  const statuses = function* (kind: string, ranges: readonly KeyRange[]): Generator<Status> {
    for (const operation of ofKind(kind, ranges)) {
      for (const outcome of operation.outcomes.values()) {
        const device = fleet.device(outcome.resourceId);
        if (device !== undefined) yield { operation, outcome, device };
      }
    }
  };
  const byId = (key: string) => operations.find(Number(key));
  const clients = counters(operations);
  const classes = [
    {
      name: "SMS_ClientOperation",
      route: "wmi",
      keys: ["ID"],
      columns: alphabetical<Operation>([
        int("ID", ({ id }) => id),
        int("Type", ({ task }) => task.type),
        text("CollectionID", ({ collectionId }) => collectionId),
        text("CreatedBy", ({ createdBy }) => createdBy),
        date("RequestedTime", ({ requestedAt }) => requestedAt),
        int("State", (operation) => (operations.isExpired(operation) ? 0 : 1)),
        text("UniqueID", ({ taskId }) => taskId),
        lazy(complex("TargetResourceIDs", ({ targets }) => targets)),
      ]),
      rows: (ranges: readonly KeyRange[]) => ofKind(undefined, ranges),
      byKey: byId,
    },
    {
      name: "SMS_ClientOperationStatus",
      route: "wmi",
      keys: ["ID"],
      columns: alphabetical<Operation>([
        int("ID", ({ id }) => id),
        int("Type", ({ task }) => task.type),
        text("CollectionID", ({ collectionId }) => collectionId),
        text("CreatedBy", ({ createdBy }) => createdBy),
        date("RequestedTime", ({ requestedAt }) => requestedAt),
        date("LastSummaryTime", lastOf),
        flag("IsExpired", (operation) => operations.isExpired(operation)),
        int("State", (operation) => stateOf(operation)),
        ...clients,
      ]),
      rows: (ranges: readonly KeyRange[]) => ofKind(undefined, ranges),
      byKey: byId,
    },
    {
      name: "SMS_ScriptsExecutionTask",
      route: "wmi",
      keys: ["ClientOperationId"],
      columns: alphabetical<Operation>([
        int("ClientOperationId", ({ id }) => id),
        text("TaskID", ({ taskId }) => taskId),
        text("CollectionId", ({ collectionId }) => collectionId),
        text("ScriptGuid", (operation) => scriptOf(operation)?.guid ?? ""),
        text("ScriptName", (operation) => scriptOf(operation)?.name ?? ""),
        text("ScriptVersion", (operation) => scriptOf(operation)?.version ?? ""),
        text("CreatedBy", ({ createdBy }) => createdBy),
        date("CreationTime", ({ requestedAt }) => requestedAt),
        date("LastUpdateTime", lastOf),
        int("NotApplicableClients", () => 0),
        ...clients,
      ]),
      rows: (ranges: readonly KeyRange[]) => ofKind("script", ranges),
      byKey: byId,
    },
    {
      name: "SMS_ScriptsExecutionStatus",
      route: "wmi",
      keys: ["ClientOperationId", "ResourceId"],
      columns: alphabetical<Status>([
        ...statusColumns(),
        text("ScriptGuid", ({ operation }) => scriptOf(operation)?.guid ?? ""),
        text("ScriptName", ({ operation }) => scriptOf(operation)?.name ?? ""),
        text("ScriptOutput", (status) => scriptOutput(status, isQuoted)),
      ]),
      rows: (ranges: readonly KeyRange[]) => statuses("script", ranges),
      deviceOf: ({ device }: Status) => device,
    },
    {
      name: "SMS_CMPivotStatus",
      route: "v1.0",
      keys: ["ClientOperationId", "ResourceId"],
      columns: [
        ...statusColumns(),
        int<Status>("State", ({ outcome }) => (outcome.isFailed ? 2 : 3)),
        text<Status>("ErrorMessage", ({ outcome }) => (outcome.isFailed ? "Script failed" : "")),
        text<Status>("ScriptOutput", pivotOutput),
      ],
      rows: (ranges: readonly KeyRange[]) => statuses("cmpivot", ranges),
      deviceOf: ({ device }: Status) => device,
    },
  ];
  return classes as unknown as EntityClass[];
}

function counters(operations: Operations) {
  return [
    int<Operation>("TotalClients", ({ targets }) => targets.length),
    int<Operation>("CompletedClients", ({ outcomes }) => count(outcomes, false)),
    int<Operation>("FailedClients", ({ outcomes }) => count(outcomes, true)),
    int<Operation>("OfflineClients", (operation) => operations.waiting(operation).offline),
    int<Operation>("UnknownClients", (operation) => operations.waiting(operation).unknown),
  ];
}

function count(outcomes: ReadonlyMap<number, Outcome>, isFailed: boolean): number {
  return [...outcomes.values()].filter((each) => each.isFailed === isFailed).length;
}

function statusColumns() {
  return [
    int<Status>("ClientOperationId", ({ operation }) => operation.id),
    int<Status>("ResourceId", ({ outcome }) => outcome.resourceId),
    text<Status>("TaskID", ({ operation }) => operation.taskId),
    text<Status>("DeviceName", ({ device }) => device.name),
    text<Status>("SMSID", ({ device }) => device.smsId),
    // 1 succeeded and 2 failed were seen at a real site; other values were not.
    int<Status>("ScriptExecutionState", ({ outcome }) => (outcome.isFailed ? 2 : 1)),
    int<Status>("ScriptExitCode", ({ outcome }) => (outcome.isFailed ? 1 : 0)),
    date<Status>("LastUpdateTime", ({ outcome }) => outcome.at),
  ];
}

function scriptOf({ task }: Operation): Script | undefined {
  return task.kind === "script" ? task.script : undefined;
}

/** 0 unknown, 1 not applicable, 2 failed, 3 succeeded. */
function stateOf({ targets, outcomes }: Operation): number {
  if (targets.length === 0) return 1;
  if (outcomes.size < targets.length) return 0;
  return count(outcomes, true) > 0 ? 2 : 3;
}

function lastOf({ outcomes, requestedAt }: Operation): number {
  return [...outcomes.values()].at(-1)?.at ?? requestedAt;
}

/** What the script printed, escaped as in JSON. */
function scriptOutput({ operation, device, outcome }: Status, isQuoted: boolean): string {
  if (operation.task.kind !== "script") return "";
  const { script, parameters } = operation.task;
  const given = JSON.stringify(parameters);
  const printed = outcome.isFailed
    ? "The term 'x' is not recognized as the name of a cmdlet."
    : (script.output ?? '{"Computer":"{name}","Parameters":{parameters}}')
        .replaceAll("{name}", device.name)
        .replaceAll("{parameters}", given);
  const json = JSON.stringify(printed);
  return isQuoted ? json : json.slice(1, -1);
}

/** `<result ResultCode="00000000"><e _i="0" Name="..."/></result>`: rows as elements with attributes. */
function pivotOutput({ operation, device }: Status): string {
  if (operation.task.kind !== "cmpivot") return "";
  const rows = runOnDevice(parsePivot(operation.task.query), device).map((row, index) => {
    const attributes = Object.entries(row).map(([name, value]) => `${name}="${xml(value)}"`);
    return `<e _i="${index}" ${attributes.join(" ")} />`;
  });
  return `<result ResultCode="00000000">${rows.join("")}</result>`;
}

function xml(value: unknown): string {
  return String(value ?? "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll('"', "&quot;");
}
