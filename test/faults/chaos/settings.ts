import { guidOf } from "../../simulators/configmgr/random-values.ts";
import { storedScriptSha256 } from "../../simulators/configmgr/scripts.ts";

/** What the site has, what the host allows, and what the administrator asks of the bridges. */

/** A script that says which command it was run for. */
export const SCRIPT = {
  guid: "0B6D1C52-9E0B-4C8A-8F5A-7E2F1D3C4B5A",
  name: "Mark",
  text: "param([string]$Marker)\r\nWrite-Output $Marker\r\n",
  author: "CORP\\author",
  isApproved: true,
  parameters: [{ name: "Marker", isRequired: true }],
} as const;

export const SITE = "CM1";
export const TOKEN = "chaos-token";
export const CLASSES = ["SMS_G_System_OPERATING_SYSTEM", "SMS_G_System_LOGICAL_DISK"];
export const SCRIPT_SHA256 = storedScriptSha256(SCRIPT.text);
export const FIRST_RESOURCE_ID = 16_777_216;
export const APPLICATIONS = 5;
/** A custom property of devices. */
export const PROPERTY = "chaos";
/** A collection of named devices, who are others ever again. */
export const COLLECTION = "CM1000AA";
export const NOTIFICATIONS = ["refreshMachinePolicy", "refreshUserPolicy"] as const;

/** As `seed` makes it at the site. */
export function applicationGuid(seed: number, number: number): string {
  return guidOf(seed + 90, number).toLowerCase();
}

const WINDOW = { max: 100_000, perMinutes: 60 };

export const guardrails = (seed: number) => ({
  commands: {
    allow: [
      ...["health.report", "site.notify", "site.script", "site.query", "site.cancel"],
      ...["site.refresh", "site.application", "site.custom-properties"],
    ],
    limits: {
      "site-devices-notified": WINDOW,
      "site-devices-scripted": WINDOW,
      "site-devices-queried": WINDOW,
      "site-devices-installed": WINDOW,
      "site-devices-described": WINDOW,
    },
  },
  "comgmt-bridge": {
    inventory: { classes: CLASSES },
    queries: { entities: ["OperatingSystem"] },
    actions: {
      targets: { [SITE]: { collections: ["SMS00001", COLLECTION] } },
      notifications: NOTIFICATIONS,
      allowQueries: true,
      scripts: [
        {
          ...{ scriptGuid: SCRIPT.guid, version: "1", sha256: SCRIPT_SHA256 },
          parameters: { Marker: "m[0-9]+" },
        },
      ],
      applications: Array.from({ length: APPLICATIONS }, (_, number) => ({
        applicationId: applicationGuid(seed, number),
        actions: ["install"],
      })),
      customProperties: [PROPERTY],
    },
  },
});

/** In which everything is read once. */
export const SCAN_MS = 12_000;

export const DESIRED = {
  sites: [
    {
      source: SITE,
      inventoryClasses: CLASSES,
      hotSeconds: 3,
      truthMinutes: SCAN_MS / 60_000,
      inventoryHours: 0.01,
    },
  ],
};
