import type { Notification } from "@isthmus/shared/link/site-messages";
import { type ClassName, classPath, objectPath } from "./path.ts";

/** Requests that make a site act. Where a shape has no public source, `docs/comgmt-bridge/actions.md` says so. */
export interface ActionRequest {
  /** Below the base path. */
  readonly path: string;
  readonly argument: Readonly<Record<string, unknown>>;
  readonly asked: "script" | "action";
}

/** `Type` of SMS_ClientOperation (community, two sources; those of Endpoint Protection by one). */
const NOTIFICATION_TYPES: Readonly<Record<Notification, number>> = {
  fullScan: 1,
  quickScan: 2,
  windowsDefenderUpdateSignatures: 3,
  refreshMachinePolicy: 8,
  refreshUserPolicy: 9,
  discoveryData: 10,
  softwareInventory: 11,
  hardwareInventory: 12,
  appEvaluation: 13,
  softwareUpdateEvaluation: 14,
  switchSoftwareUpdatePoint: 15,
  deviceHealthAttestation: 16,
  restart: 17,
  enableVerboseLogging: 20,
  disableVerboseLogging: 21,
  collectLogs: 22,
  complianceEvaluation: 125,
  wakeUpClient: 150,
};
export const SCRIPT_TYPE = 135;
export const CMPIVOT_TYPE = 145;

const CLIENT_OPERATION: ClassName = { route: "wmi", name: "SMS_ClientOperation" };
const DEVICE: ClassName = { route: "v1.0", name: "Device" };
const APPLICATION: ClassName = { route: "v1.0", name: "Application" };

export function notificationType(notification: Notification): number {
  return NOTIFICATION_TYPES[notification];
}

export function notifyRequest(type: number, resourceIds: readonly number[]): ActionRequest {
  return {
    path: `${classPath(CLIENT_OPERATION)}.InitiateClientOperation`,
    argument: {
      ...{ Type: type, TargetCollectionID: "", RandomizationWindow: 0 },
      TargetResourceIDs: resourceIds,
    },
    asked: "action",
  };
}

/** `content` as `writeScriptContent` gives it. */
export function scriptRequest(content: string, resourceIds: readonly number[]): ActionRequest {
  return {
    path: `${classPath(CLIENT_OPERATION)}.InitiateClientOperationEx`,
    argument: {
      ...{ Type: SCRIPT_TYPE, TargetCollectionID: "", TargetResourceIDs: resourceIds },
      ...{ RandomizationWindow: 0, Param: content },
    },
    asked: "script",
  };
}

/** SDK reference, "CancelClientOperation Method in Class SMS_ClientOperation". */
export function cancelRequest(operationId: number): ActionRequest {
  return {
    path: `${classPath(CLIENT_OPERATION)}.CancelClientOperation`,
    argument: { OperationID: operationId },
    asked: "action",
  };
}

export function queryRequest(query: string, resourceId: number): ActionRequest {
  return {
    path: boundPath(resourceId, "RunCMPivot"),
    argument: { InputQuery: query },
    asked: "action",
  };
}

export function queryResultPath(resourceId: number, operationId: number): string {
  return `${boundPath(resourceId, "CMPivotResult")}(OperationId=${operationId})`;
}

/** No public source shows `RepairApplication`; a site that does not have it answers 404. */
const APPLICATION_METHODS = {
  install: "InstallApplication",
  uninstall: "UninstallApplication",
  repair: "RepairApplication",
} as const;

export function applicationRequest(
  action: keyof typeof APPLICATION_METHODS,
  applicationGuid: string,
  smsIds: readonly string[],
): ActionRequest {
  const object = objectPath(APPLICATION, { guid: applicationGuid });
  return {
    path: `${object}/AdminService.${APPLICATION_METHODS[action]}`,
    argument: { Devices: smsIds },
    asked: "action",
  };
}

export function applicationsPath(resourceId: number): string {
  return `${objectPath(DEVICE, resourceId)}/AvailableApplications?$expand=Application`;
}

export function recoveryKeysPath(resourceId: number): string {
  return `${objectPath(DEVICE, resourceId)}/RecoveryKeys`;
}

export function recoveryKeyRequest(resourceId: number, recoveryKeyId: string): ActionRequest {
  return {
    path: boundPath(resourceId, "GetRecoveryKeyValue"),
    argument: { RecoveryKeyId: recoveryKeyId },
    asked: "action",
  };
}

export function extensionDataPath(resourceId: number): string {
  return boundPath(resourceId, "GetExtensionData");
}

export function setExtensionDataRequest(
  resourceId: number,
  values: Readonly<Record<string, string>>,
): ActionRequest {
  return {
    path: boundPath(resourceId, "SetExtensionData"),
    argument: { ExtensionData: values },
    asked: "action",
  };
}

/** Takes all of a device's away: the documentation knows no way to name one. */
export function deleteExtensionDataRequest(resourceId: number): ActionRequest {
  return { path: boundPath(resourceId, "DeleteExtensionData"), argument: {}, asked: "action" };
}

function boundPath(resourceId: number, method: string): string {
  return `${objectPath(DEVICE, resourceId)}/AdminService.${method}`;
}
