import type { commandPayloads, DeviceState } from "@isthmus/shared/link/messages";
import type { z } from "zod";

/** Our own limits on one `devices.update`: in base64 inside a JWS it stays well below MAX_JWS_BYTES. */
export const MAX_DEVICES_PER_UPDATE = 1_000;
export const MAX_UPDATE_BYTES = 300_000;

export type DevicesUpdate = z.infer<(typeof commandPayloads)["devices.update"]>;

/**
 * Cuts all devices into commands for a gateway. A fleet that fits one is a snapshot, which also removes what the gateway
 * should not know. A larger one is a series of changes (removed devices are among them): its first part as a snapshot
 * would make a gateway that already serves cut everybody else, so only one that knows nothing yet (`isFirst`) gets that.
 */
export function updatesFor(
  devices: readonly DeviceState[],
  isFirst: boolean,
  nextVersion: () => number,
): DevicesUpdate[] {
  const parts = partsOf(devices);
  return parts.map((part, index) => ({
    version: nextVersion(),
    isSnapshot: parts.length === 1 || (isFirst && index === 0),
    devices: part,
  }));
}

function partsOf(devices: readonly DeviceState[]): DeviceState[][] {
  let part: DeviceState[] = [];
  let bytes = 0;
  const parts = [part];
  for (const device of devices) {
    const size = Buffer.byteLength(JSON.stringify(device)) + 1;
    if (part.length === MAX_DEVICES_PER_UPDATE || bytes + size > MAX_UPDATE_BYTES) {
      part = [];
      bytes = 0;
      parts.push(part);
    }
    part.push(device);
    bytes += size;
  }
  return parts;
}
