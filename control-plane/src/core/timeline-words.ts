import type { DeviceActionState } from "./device-action.ts";
import type { FieldDifference } from "./facet-differences.ts";
import type { TimelineKind } from "./timeline.ts";

/** What stands in timelines, in words. The names of the API and of the source stay in the details, where searches find them too. */

export const KIND_WORDS: Readonly<Record<TimelineKind, string>> = {
  "device.appeared": "Device appeared",
  "device.deleted": "Device deleted",
  "device.reappeared": "Device is back",
  "device.online": "Online",
  "device.offline": "Offline",
  "inventory.changed": "Inventory changed",
  "application.changed": "Application changed",
  "client.event": "Event on the client",
  "action.requested": "Action asked for",
  "action.waiting": "Action waits for approval",
  "action.ended": "Action ended",
  "certificate.issued": "Certificate issued",
  "certificate.revoked": "Certificate revoked",
  "tunnel.opened": "Tunnel opened",
  "tunnel.ended": "Tunnel ended",
  "tunnel.cut": "Tunnel cut",
};

/** How an action ended on a device. */
export const END_WORDS: Readonly<Record<DeviceActionState, string>> = {
  queued: "queued",
  sent: "asked",
  running: "running",
  succeeded: "succeeded",
  failed: "failed",
  expired: "was not taken up in time",
  cancelled: "was cancelled",
  notApplicable: "is not applicable",
  unknown: "ended in a way that nobody knows",
};

/** Those of a source's own, beside inventory classes. */
const FACETS: Readonly<Record<string, string>> = {
  identity: "Identity",
  stable: "Properties",
  health: "Client health",
  collections: "Collections",
  boundaryGroups: "Boundary groups",
  clientBlock: "Client block",
  updateCompliance: "Software updates",
  applicationStates: "Applications",
  applicationErrors: "Error codes of applications",
};
/** Whose properties speak for themselves. */
const PLAIN = ["identity", "stable", "health", "boundaryGroups", "clientBlock"];
const MAX_WORDS = 100;

/** `Logical disk: C: free space`; `Model`; `Collections`. */
export function fieldWords({ facet, path }: Pick<FieldDifference, "facet" | "path">): string {
  const parts = path === "" ? [] : path.slice(0, MAX_WORDS).split("/").map(partWords);
  const of = Object.hasOwn(FACETS, facet) ? (FACETS[facet] ?? facet) : classWords(facet);
  if (parts.length === 0) return of;
  return PLAIN.includes(facet) ? capital(parts.join(" ")) : `${of}: ${parts.join(" ")}`;
}

/** `SMS_G_System_LOGICAL_DISK` is `Logical disk`. */
function classWords(name: string): string {
  const words = name.replace(/^SMS_G(EH)?_System_/, "").replaceAll("_", " ");
  return capital(words === words.toUpperCase() ? words.toLowerCase() : words);
}

/** `FreeSpace` is `free space`, `DeviceOSBuild` is `device OS build`; of `DeviceID=C:` the value says which row. */
function partWords(part: string): string {
  const [, row] = /^\w+=(.*)$/.exec(part) ?? [];
  if (row !== undefined) return row;
  return part
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .replace(/\b[A-Z](?=[a-z])/g, (letter) => letter.toLowerCase());
}

/** A code: `device-noncompliant` is `device noncompliant`. */
export function codeWords(code: string): string {
  return code.replaceAll(/[-_]/g, " ");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
