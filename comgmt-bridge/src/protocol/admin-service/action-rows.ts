import { ProtocolError } from "@isthmus/shared/errors";
import { z } from "zod";
import { type Row, readReturned } from "./answer.ts";

/** What the site tells of operations, scripts and applications: the properties that the bridge decides by. */

const text = z.string().nullish();
const whole = z.int().nullish();
const id = z.int().positive();

/** A class with its fields; unlike `rows.ts` keys are spelt as they come. */
function fields<Shape extends z.ZodRawShape>(name: string, shape: Shape) {
  const schema = z.object(shape);
  return (row: Row): z.output<typeof schema> => {
    const read = schema.safeParse(row);
    if (read.success) return read.data;
    const [issue] = read.error.issues;
    throw new ProtocolError(
      "admin-service-row",
      `a row of ${name} has no usable ${issue?.path.join(".")}: ${issue?.message}`,
    );
  };
}

/** SDK reference, SMS_ClientOperation. */
export const readClientOperation = fields("SMS_ClientOperation", {
  ID: id,
  Type: whole,
  CreatedBy: text,
  RequestedTime: text,
  TargetResourceIDs: z.array(z.int()).nullish(),
});

/** SDK reference, SMS_ClientOperationStatus. `State`: 0 unknown, 1 not applicable, 2 failed, 3 succeeded. */
export const readOperationStatus = fields("SMS_ClientOperationStatus", {
  ID: id,
  CreatedBy: text,
  State: whole,
  IsExpired: z.union([z.boolean(), z.int()]).nullish(),
  TotalClients: whole,
  CompletedClients: whole,
  FailedClients: whole,
  OfflineClients: whole,
  UnknownClients: whole,
});
export type OperationStatus = ReturnType<typeof readOperationStatus>;

export const readScriptTask = fields("SMS_ScriptsExecutionTask", {
  ClientOperationId: id,
  ScriptGuid: text,
  ScriptVersion: text,
});

/** `ScriptExecutionState` 1 succeeded and 2 failed were seen at a real site. */
export const readScriptStatus = fields("SMS_ScriptsExecutionStatus", {
  ClientOperationId: id,
  ResourceId: id,
  ScriptExecutionState: whole,
  ScriptExitCode: whole,
  ScriptOutput: text,
});
export type ScriptStatus = ReturnType<typeof readScriptStatus>;

export const readQueryStatus = fields("SMS_CMPivotStatus", {
  ClientOperationId: id,
  ResourceId: id,
  ScriptExecutionState: whole,
  ErrorMessage: text,
  ScriptOutput: text,
});
export type QueryStatus = ReturnType<typeof readQueryStatus>;

/** `ApprovalState`: 0 waiting, 1 denied, 3 approved. Script and ParamsDefinition come only by key. */
export const readScript = fields("SMS_Scripts", {
  ScriptGuid: z.string(),
  ScriptVersion: z.string(),
  ScriptType: z.int().min(0).max(255),
  ApprovalState: z.int(),
  Approver: text,
  Author: text,
  Script: z.string(),
  ParamsDefinition: text,
});
export type StoredScript = ReturnType<typeof readScript>;

export const readDevice = fields("Device", {
  MachineId: id,
  SMSID: text,
  CNIsOnline: z.union([z.boolean(), z.int()]).nullish(),
});

/** What a method returns as a list of rows. Throws ProtocolError. */
function returnedRows(body: Uint8Array): readonly Row[] {
  const returned = readReturned(body);
  const rows = Array.isArray(returned) ? returned : [returned];
  if (rows.every((row) => typeof row === "object" && row !== null && !Array.isArray(row))) {
    return rows as readonly Row[];
  }
  throw new ProtocolError("admin-service-answer", "the AdminService's answer holds no rows");
}

/** `{"Status", "MoreResult", "Result": [...]}`, in `value` or at the top. */
export function readQueryResult(body: Uint8Array): readonly Row[] {
  const [of] = returnedRows(body);
  const result = of?.["Result"];
  if (Array.isArray(result) && result.every((row) => typeof row === "object" && row !== null)) {
    return result as readonly Row[];
  }
  throw new ProtocolError("admin-service-answer", "the answer to a query holds no Result");
}

export interface ApplicationOnDevice {
  /** GUIDs in lower case. */
  readonly id: string;
  /** A word such as `Installed`; undefined where none came. */
  readonly status: string | undefined;
  readonly errorCode: number | undefined;
}

/** Its columns are not documented: identity and state are looked for by the names that were seen. */
export function readApplications(body: Uint8Array): readonly ApplicationOnDevice[] {
  return returnedRows(body).map((row) => {
    const application = row["Application"];
    const nested = typeof application === "object" && application !== null ? application : {};
    const guid = textOf(row["ApplicationId"]) ?? textOf((nested as Row)["CIGUID"]) ?? "";
    const errorCode = row["ErrorCode"];
    return {
      id: guid.toLowerCase(),
      status: textOf(row["Status"]),
      errorCode:
        typeof errorCode === "number" && Number.isSafeInteger(errorCode) ? errorCode : undefined,
    };
  });
}

/** Community code (two sources): `ItemKey`, `RecoveryKeyId`, `VolumeTypeId`. */
export function readRecoveryKeyIds(body: Uint8Array): readonly RecoveryKeyId[] {
  return returnedRows(body).map((row) => {
    const recoveryKeyId = textOf(row["RecoveryKeyId"]);
    const volumeTypeId = row["VolumeTypeId"];
    if (recoveryKeyId === undefined || !/^[0-9A-Za-z{}-]{8,64}$/.test(recoveryKeyId)) {
      throw new ProtocolError("admin-service-row", "a recovery key has no usable RecoveryKeyId");
    }
    return {
      recoveryKeyId,
      volumeTypeId: typeof volumeTypeId === "number" ? volumeTypeId : undefined,
    };
  });
}

export interface RecoveryKeyId {
  readonly recoveryKeyId: string;
  readonly volumeTypeId: number | undefined;
}

/** The key itself. What came instead is never repeated: it may be the key in another form. */
export function readRecoveryKey(body: Uint8Array): string {
  const returned = returnedWithoutWords(body);
  if (typeof returned === "string" && returned.length > 0 && returned.length <= 256)
    return returned;
  throw new ProtocolError("admin-service-answer", "no recovery key came");
}

/** What JSON.parse says of a text repeats some of it. */
function returnedWithoutWords(body: Uint8Array): unknown {
  try {
    return readReturned(body);
  } catch {
    return undefined;
  }
}

/** Rows of `PropertyName` and `PropertyValue`, or one object whose properties they are; both are in public code. */
export function readExtensionData(body: Uint8Array): Readonly<Record<string, string>> {
  const rows = returnedRows(body);
  const pairs = rows.flatMap((row): (readonly [string, unknown])[] => {
    const name = textOf(row["PropertyName"]);
    if (name !== undefined) return [[name, row["PropertyValue"]]];
    const foreign = ["ExtendedType", "InstanceKey", "MachineId", "ResourceID", "ResourceId"];
    return Object.entries(row).filter(([key]) => !foreign.includes(key));
  });
  return Object.fromEntries(
    pairs
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
