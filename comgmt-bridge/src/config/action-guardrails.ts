import { patternKey } from "@isthmus/shared/kernel/configuration-keys";
import {
  APPLICATION_ACTIONS,
  COLLECTION_ID,
  GUID,
  MAX_ACTION_DEVICES,
  notification,
} from "@isthmus/shared/link/site-messages";
import { z } from "zod";

/** Own limits. */
const MAX_SITES = 16;
const MAX_COLLECTIONS = 50;
const MAX_DEVICES = 1_000;
const MAX_SCRIPTS = 200;
const MAX_APPLICATIONS = 500;
const MAX_PROPERTIES = 100;

const guid = z
  .string()
  .regex(GUID, "is no GUID")
  .transform((text) => text.toLowerCase());
const collections = z
  .array(z.string().regex(COLLECTION_ID, "is no CollectionID"))
  .max(MAX_COLLECTIONS)
  .default([]);

/** Which devices of a site may be touched at all. */
const targets = z.strictObject({
  /** Collections that may be targeted, and whose members may be. */
  collections,
  /** Devices by ResourceID that may be targeted whatever collection they are in. */
  devices: z.array(z.int().min(1).max(0x7fff_ffff)).max(MAX_DEVICES).default([]),
  /** No action that touches a member of one of these is carried out. */
  never: collections,
});

const script = z.strictObject({
  scriptGuid: guid,
  version: z.string().min(1).max(64),
  /** Of the stored script; sites write it in capitals. */
  sha256: z
    .string()
    .regex(/^[0-9A-Fa-f]{64}$/, "has to be 64 hexadecimal digits")
    .transform((text) => text.toLowerCase()),
  /** Which values each parameter may have; one that is not named takes none. */
  parameters: z.record(z.string().max(128), patternKey()).default({}),
  /** Whether a script may run whose author approved it. */
  allowSelfApproval: z.boolean().default(false),
});

const application = z.strictObject({
  applicationId: guid,
  actions: z.array(z.enum(APPLICATION_ACTIONS)).min(1).max(4),
});

/**
 * What may be done at the site at most, whoever asks. Nothing is allowed where the section is missing; `commands.allow` and
 * `commands.limits` hold as well.
 */
export const actionGuardrails = z.strictObject({
  /** By site code: ids of collections and devices mean something within a site alone. */
  targets: z
    .record(z.string().regex(/^[A-Z0-9]{3}$/, "is no site code"), targets)
    .refine((sites) => Object.keys(sites).length <= MAX_SITES, "has too many sites")
    .default({}),
  maxDevicesPerAction: z.int().min(1).max(MAX_ACTION_DEVICES).default(100),
  /** More devices of a kind of action than this, in one or in several of them, need a second person. */
  approval: z
    .strictObject({
      above: z.int().min(0).max(MAX_ACTION_DEVICES),
      perMinutes: z.int().min(1).max(525_600).default(60),
      signatures: z.int().min(1).max(10).default(1),
      local: z.boolean().default(true),
    })
    .optional(),
  /** Client notifications, but for `restart`, which has a key of its own. */
  notifications: z
    .array(notification.exclude(["restart"]))
    .max(20)
    .default([]),
  restart: z
    .strictObject({ maxDevicesPerAction: z.int().min(1).max(MAX_ACTION_DEVICES).default(1) })
    .optional(),
  scripts: z.array(script).max(MAX_SCRIPTS).default([]),
  applications: z.array(application).max(MAX_APPLICATIONS).default([]),
  /** Whether queries may be sent at all; which ones, `queries` says. */
  allowQueries: z.boolean().default(false),
  /** Whether BitLocker recovery keys may be shown to the control plane. */
  allowRecoveryKeys: z.boolean().default(false),
  /** Names of custom properties that may be set and taken away. */
  customProperties: z.array(z.string().min(1).max(128)).max(MAX_PROPERTIES).default([]),
});
export type ActionGuardrails = z.output<typeof actionGuardrails>;
