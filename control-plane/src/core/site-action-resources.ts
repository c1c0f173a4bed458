import {
  boolean,
  json,
  number,
  optionalName,
  optionalNumber,
  optionalRecord,
  optionalText,
  optionalTime,
  text,
  time,
} from "./property-types.ts";

/**
 * Resources about actions at sites. Each device's newest results are also in its `deviceActionResults`, in Graph's words;
 * docs/comgmt-bridge/actions-api.md says what each property means.
 */

const DEVICE_STATE = {
  id: text,
  clientOperationId: text,
  configurationManagerSite: text,
  action: text,
  actor: text,
  /** ResourceID. */
  resourceId: text,
  managedDeviceId: optionalRecord,
  deviceName: optionalName,
  /** DEVICE_ACTION_STATES of the link. */
  state: text,
  reason: optionalText,
  errorCode: optionalNumber,
  rowCount: number,
  isTruncated: boolean,
  createdDateTime: time,
  stateDateTime: time,
} as const;

export const SITE_ACTION_RESOURCES = {
  configurationManagerClientOperations: {
    id: text,
    configurationManagerSite: text,
    /** notify, script, query, application, recovery-key, custom-properties or refresh. */
    kind: text,
    /** What is done, as in `deviceActionResults`: refreshMachinePolicy, runScript, install ... */
    action: text,
    /** A script's GUID, an application's id, a query. */
    subject: optionalText,
    /** The record of that script or application. */
    subjectId: optionalRecord,
    /** As the bridge is told, with the ids that lists have: `managedDeviceIds` beside `resourceIds`, `id` beside `collectionId`; `displayName` of the collection or of the first device. */
    target: json,
    details: json,
    /** Where one device alone was named. */
    managedDeviceId: optionalRecord,
    actor: text,
    /** SITE_ACTION_STATES. */
    state: text,
    reason: optionalText,
    createdDateTime: time,
    expirationDateTime: time,
    stateDateTime: time,
    endedDateTime: optionalTime,
    connectorId: text,
    commandId: text,
    operationId: optionalNumber,
    expectedDeviceCount: optionalNumber,
    /** How many devices are in each state. */
    deviceCounts: json,
    /** The same where the site counts devices that it does not name: these are `unknown` each. */
    reportedDeviceCounts: json,
    rowCount: number,
    isTruncated: boolean,
    /** False once rows and output were thrown away. */
    areResultsKept: boolean,
  },
  configurationManagerDeviceStates: DEVICE_STATE,
  /** The same with what a script said, which not everybody may read. */
  configurationManagerScriptResults: {
    ...DEVICE_STATE,
    exitCode: optionalNumber,
    output: optionalText,
  },
} as const;
