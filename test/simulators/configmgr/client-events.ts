import type { Device } from "./device.ts";
import { mix, share } from "./random-values.ts";
import type { SiteState } from "./site-state.ts";

/**
 * The timeline of a device. What is collected, by name, provider and event id, and that it is kept for 30 days, is documented; how the
 * columns are called is not.
 */

const DAY_MS = 86_400_000;
const KEPT_MS = 30 * DAY_MS;
/** Days of each device on which something happened. */
const SHARE_OF_DAYS = 0.2;

export interface DeviceEvent {
  readonly at: number;
  readonly name: string;
  readonly provider: string;
  readonly eventId: number;
  /** 1 critical, 2 error, 3 warning, 4 information. */
  readonly level: number;
  readonly message: string;
}

type Kind = Omit<DeviceEvent, "at">;
const kind = (name: string, provider: string, eventId: number, level: number, message: string) =>
  ({ name, provider, eventId, level, message }) satisfies Kind;

const WINDOWS = "Windows Error Reporting";
const CONFIGMGR = "Microsoft-ConfigMgr";
const KINDS: readonly Kind[] = [
  kind("Application Error", "Application Error", 1_000, 2, "Faulting application name: notes.exe"),
  kind(
    "Application Hang",
    "Application Hang",
    1_002,
    2,
    "The program sheet.exe stopped responding",
  ),
  kind("Application Crash", WINDOWS, 1_001, 4, "Fault bucket , type 0. Event Name: APPCRASH"),
  kind("Initiated Shutdown", "Boot", 1_074, 4, "The process shutdown.exe has initiated a restart"),
  kind("Abnormal Shutdown", "Boot", 41, 1, "The system has rebooted without cleanly shutting down"),
  kind("Boundary Group Change", CONFIGMGR, 20_000, 4, "The client moved to another boundary group"),
  kind("Inventory resync", CONFIGMGR, 20_008, 4, "The site asked for all of the inventory"),
];

/** Rows of `Device(id)/Events`. */
export function eventRowsOf(state: SiteState, device: Device, now: number): unknown[] {
  const own = device.change?.events ?? [];
  return [...naturalEvents(device, now), ...installations(state, device), ...own]
    .filter(({ at }) => at > now - KEPT_MS)
    .map(({ at, name, provider, eventId, level, message }) => ({
      ...{ EventTime: new Date(at).toISOString(), EventName: name, ProviderName: provider },
      ...{ EventID: eventId, Level: level, Message: message, MachineId: device.id },
    }));
}

/** By the days since 1970, so that a day of a device has the same events whenever somebody asks. */
function naturalEvents(device: Device, now: number): readonly DeviceEvent[] {
  const until = Math.min(now, device.options.since);
  const lastDay = Math.floor(until / DAY_MS) - 1;
  return Array.from({ length: KEPT_MS / DAY_MS }, (_, back) => lastDay - back).flatMap((day) => {
    const bits = mix(device.bits(500), day);
    const of = KINDS[bits % KINDS.length];
    if (of === undefined || share(mix(bits, 1)) >= SHARE_OF_DAYS) return [];
    return [{ ...of, at: day * DAY_MS + (mix(bits, 2) % (DAY_MS / 1_000)) * 1_000 }];
  });
}

function installations({ operations }: SiteState, device: Device): readonly DeviceEvent[] {
  return [...operations.all()].flatMap(({ task, outcomes }) => {
    const outcome = outcomes.get(device.id);
    if (outcome === undefined || task.kind !== "application") return [];
    const { at, isFailed } = outcome;
    const message = `${task.action} of application ${task.application} ${isFailed ? "failed" : "is done"}`;
    const level = isFailed ? 2 : 4;
    return [{ ...kind("Application Deployment", CONFIGMGR, 20_001, level, message), at }];
  });
}
