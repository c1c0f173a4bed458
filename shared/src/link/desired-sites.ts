import { z } from "zod";
import { COLLECTION_ID } from "./site-messages.ts";

/**
 * The desired configuration of a comgmt-bridge: the bridge takes it by this, and the control plane refuses what no bridge would take.
 * What a host's guardrails allow is the bridge's to say.
 */

/** Own limits. */
const MAX_SITES = 16;
const MAX_CLASSES = 50;
const MAX_COLLECTIONS = 50;

/** Classes of hardware inventory that are read where none are named. */
export const DEFAULT_INVENTORY_CLASSES: readonly string[] = [
  "SMS_G_System_COMPUTER_SYSTEM",
  "SMS_G_System_OPERATING_SYSTEM",
  "SMS_G_System_PC_BIOS",
  "SMS_G_System_LOGICAL_DISK",
];

export const inventoryClassName = z
  .string()
  .regex(/^SMS_G_System_[A-Za-z0-9_]{1,110}$/, "has to be the name of a class SMS_G_System_...");

/** A site that is to be read, as the control plane asks for it. */
const desiredSite = z.strictObject({
  /** The code of a site that the bridge's local file describes. */
  source: z.string().regex(/^[A-Z0-9]{3}$/, "has to be three letters and digits, in capitals"),
  /** Classes of hardware inventory; the guardrails say which may be asked for. */
  inventoryClasses: z
    .array(inventoryClassName)
    .max(MAX_CLASSES)
    .refine((names) => new Set(names).size === names.length, "names a class twice")
    .default([...DEFAULT_INVENTORY_CLASSES]),
  /** Which software updates each device has and lacks: many rows for a device. */
  updateCompliance: z.boolean().default(true),
  /** The state of each application that is deployed to a device, and the error codes of those that failed. */
  applicationStates: z.boolean().default(true),
  /** The boundary groups that each device is in. */
  boundaryGroups: z.boolean().default(true),
  /** Only devices that are in one of these collections; all that the account sees where there are none. */
  collections: z
    .array(z.string().regex(COLLECTION_ID, "has to be a CollectionID"))
    .max(MAX_COLLECTIONS)
    .default([]),
  /** In which everything is read and compared once. */
  truthMinutes: z.number().min(0.01).max(1_440).default(60),
  /** In which inventory classes and what moves by itself are read whole once; hints tell of them in between. */
  inventoryHours: z.number().min(0.01).max(168).default(24),
  /** How often changes are looked for. */
  hotSeconds: z.number().min(0.1).max(3_600).default(20),
  /** Of how many devices events are read in an hour, one request for each; 0 for none. */
  clientEventsPerHour: z.int().min(0).max(36_000).default(5_000),
});
export type DesiredSite = z.infer<typeof desiredSite>;

const desiredSites = z
  .array(desiredSite)
  .max(MAX_SITES)
  .refine(
    (sites) => new Set(sites.map(({ source }) => source)).size === sites.length,
    "names a site twice",
  )
  .default([]);

/** What the control plane asks of the bridge: without a site in it none is read. */
export const bridgeConfiguration = z.strictObject({ sites: desiredSites });
export type BridgeConfiguration = z.infer<typeof bridgeConfiguration>;
