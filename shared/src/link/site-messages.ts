import { z } from "zod";
import { recordKey, sourceName } from "./inventory-messages.ts";
import { isNestedAtMost } from "./nesting.ts";

/**
 * Actions at a Configuration Manager site: payloads of commands to a bridge, and what it tells of each device in the log stream `actions`.
 */

export const ACTIONS_STREAM = "actions";

/** Own limits. */
export const MAX_ACTION_DEVICES = 10_000;
export const MAX_QUERY_ROWS_IN_ENTRY = 500;
const MAX_CELL_NESTING = 16;

/** As a site writes ids: the site code of where it was made, and a number; built-in ones have letters there too (`SMSDM003`, `SMS000US`). */
export const COLLECTION_ID = /^[A-Za-z0-9]{8}$/;
export const GUID = /^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/;

const sequence = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const time = z.number().int().min(0).max(8_640_000_000_000_000);
const guid = z.string().regex(GUID);
const resourceId = z.number().int().min(1).max(0x7fff_ffff);
const collectionId = z.string().regex(COLLECTION_ID);

/** Devices by ResourceID, or a collection, which the bridge itself resolves to ResourceIDs before anything is done. */
export const actionTarget = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("devices"), resourceIds: z.array(resourceId).min(1).max(1_000) }),
  z.object({ kind: z.literal("collection"), collectionId }),
]);
export type ActionTarget = z.infer<typeof actionTarget>;

/** What `SMS_ClientOperation` calls Type, by the names that we use; the codes stand in the bridge. */
export const NOTIFICATIONS = [
  "refreshMachinePolicy",
  "refreshUserPolicy",
  "discoveryData",
  "softwareInventory",
  "hardwareInventory",
  "appEvaluation",
  "softwareUpdateEvaluation",
  "switchSoftwareUpdatePoint",
  "deviceHealthAttestation",
  "restart",
  "enableVerboseLogging",
  "disableVerboseLogging",
  "collectLogs",
  "complianceEvaluation",
  "wakeUpClient",
  "fullScan",
  "quickScan",
  "windowsDefenderUpdateSignatures",
] as const;
export const notification = z.enum(NOTIFICATIONS);
export type Notification = z.infer<typeof notification>;

export const APPLICATION_ACTIONS = ["install", "uninstall", "repair", "reevaluate"] as const;

const about = { source: sourceName, target: actionTarget };

/** Payloads of the commands that a bridge runs. */
export const siteCommandPayloads = {
  /** comgmt-bridge: a client notification. */
  "site.notify": z.object({ ...about, notification }),
  /** comgmt-bridge: an approved script, by the very version and text that were looked at. */
  "site.script": z.object({
    ...about,
    scriptGuid: guid,
    version: z.string().min(1).max(64),
    /** SHA-256 of the stored script, hex. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    parameters: z
      .array(z.object({ name: z.string().min(1).max(128), value: z.string().max(4_096) }))
      .max(50)
      .default([]),
  }),
  /** comgmt-bridge: a CMPivot query; its rows come in the stream `actions`. */
  "site.query": z.object({ ...about, query: z.string().min(1).max(4_000) }),
  /** comgmt-bridge: an application on devices. */
  "site.application": z.object({
    ...about,
    /** CI_UniqueID's GUID, as SMS_Application has it. */
    applicationId: z.string().min(1).max(256),
    action: z.enum(APPLICATION_ACTIONS),
  }),
  /** comgmt-bridge: the recovery keys of a device; they come in the command's result alone. */
  "site.recovery-key": z.object({ source: sourceName, resourceId }),
  /** comgmt-bridge: custom properties of a device. */
  "site.custom-properties": z.object({
    source: sourceName,
    resourceId,
    set: z.record(z.string().min(1).max(128), z.string().max(1_024)).default({}),
    remove: z.array(z.string().min(1).max(128)).max(100).default([]),
  }),
  /**
   * comgmt-bridge: ends what an earlier command began and that goes on after its result: the operation at the site where the site can do
   * that, and the wait for devices; those without an end become `cancelled`.
   */
  "site.cancel": z.object({ source: sourceName, commandId: z.string().min(1).max(128) }),
  /** comgmt-bridge: reads these devices from the site now. */
  "site.refresh": z.object({
    source: sourceName,
    resourceIds: z.array(resourceId).min(1).max(1_000),
  }),
} as const;

/** What the command itself answers, once the site has taken it; devices follow in the stream. */
export const siteOperation = z.object({
  source: sourceName,
  /** As the site numbers it; absent where it numbers nothing. */
  operationId: z.number().int().optional(),
  devices: sequence,
});
export type SiteOperation = z.infer<typeof siteOperation>;

/** How far an action is on a device; all but the first three are final. */
export const DEVICE_ACTION_STATES = [
  "queued",
  "sent",
  "running",
  "expired",
  "unknown",
  "succeeded",
  "failed",
  "cancelled",
  "notApplicable",
] as const;
export const deviceActionState = z.enum(DEVICE_ACTION_STATES);

const commandId = z.string().min(1).max(128);
const cell = z
  .unknown()
  .refine((value) => isNestedAtMost(value, MAX_CELL_NESTING), "nested too deeply");

/** How an action fares on devices. */
const progressEntry = z.object({
  type: z.literal("progress"),
  source: sourceName,
  commandId,
  at: time,
  devices: z
    .array(
      z.object({
        key: recordKey,
        state: deviceActionState,
        /** As the site or the client told it; signed 32-bit codes as they are. */
        errorCode: z.number().int().optional(),
        /** In words: why it failed, or why nobody knows. */
        reason: z.string().max(1_024).optional(),
        /** Of a script. */
        exitCode: z.number().int().optional(),
        output: z.string().max(131_072).optional(),
        isTruncated: z.boolean().optional(),
      }),
    )
    .min(1)
    .max(500),
  /** Where the site counts the devices of an operation and does not name them: how many there are in each state. */
  counts: z
    .object({
      operationId: z.number().int(),
      devices: z.partialRecord(deviceActionState, sequence),
    })
    .optional(),
});
export type SiteCounts = NonNullable<z.infer<typeof progressEntry>["counts"]>;

/** Rows of a CMPivot query on one device. */
const rowsEntry = z.object({
  type: z.literal("rows"),
  source: sourceName,
  commandId,
  at: time,
  key: recordKey,
  rows: z.array(z.record(z.string().max(128), cell)).max(MAX_QUERY_ROWS_IN_ENTRY),
  /** Whether the client cut its answer (128 KB). */
  isTruncated: z.boolean(),
});

/** One entry of the `actions` stream. */
export const actionEntry = z.discriminatedUnion("type", [progressEntry, rowsEntry]);
export type ActionEntry = z.infer<typeof actionEntry>;
