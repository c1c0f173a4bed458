import type { Device, DeviceDirectory } from "./device.ts";
import type { CertificateIdentity } from "./identity.ts";
import type { Refusal } from "./refusal.ts";

/** How long what was learnt of devices holds while the cloud cannot be reached. */
export interface DeviceAgeLimits {
  readonly maximumAgeMs: number;
  /** Beyond the maximum age; the gateway serves and warns. */
  readonly graceMs: number;
}

/** Where device states come from; those of a local list do not age. `confirmedAt` is when the cloud last stood by them. */
export type DeviceFreshness =
  | { readonly source: "list" }
  | { readonly source: "cloud"; readonly confirmedAt: number | undefined };

export type AgeOfStates = "current" | "in-grace" | "outdated";

/** A known device and the user who counts, or the refusal. */
export type GateVerdict =
  | { readonly device: Device; readonly refusal?: undefined }
  | { readonly device?: undefined; readonly refusal: Refusal };

/** How old the device states are against their limits. */
export function ageOfStates(
  freshness: DeviceFreshness,
  limits: DeviceAgeLimits,
  now: number,
): AgeOfStates {
  if (freshness.source === "list") return "current";
  const age = now - (freshness.confirmedAt ?? Number.NEGATIVE_INFINITY);
  if (age <= limits.maximumAgeMs) return "current";
  return age <= limits.maximumAgeMs + limits.graceMs ? "in-grace" : "outdated";
}

/** The compliance gate: whether the device behind a certificate is known, present, compliant and its state young enough. */
export function judgeDevice(
  identity: CertificateIdentity,
  directory: DeviceDirectory,
  age: AgeOfStates,
): GateVerdict {
  const found = findDevice(identity, directory);
  if (found.refusal) return found;
  const { device } = found;
  const refusal = refusalOf(identity, device, age);
  return refusal ? { refusal } : { device };
}

/** By device id where the certificate carries one; by user where it does not and the user has a single device. */
function findDevice(identity: CertificateIdentity, directory: DeviceDirectory): GateVerdict {
  if (identity.deviceId !== undefined) {
    const device = directory.find(identity.deviceId);
    return device ? { device } : unknownDevice(`device ${identity.deviceId} is not known`);
  }
  const devices = directory.ofUser(identity.userPrincipalName ?? "").filter((one) => !one.removed);
  const [device, ...others] = devices;
  if (device && others.length === 0) return { device };
  return unknownDevice(
    device
      ? "the certificate names no device and its user has several"
      : "the certificate names no known device",
  );
}

function refusalOf(
  identity: CertificateIdentity,
  device: Device,
  age: AgeOfStates,
): Refusal | undefined {
  const who = `device ${device.deviceId}`;
  if (device.removed) return refuse("device-removed", "removed", `${who} is no longer managed`);
  if (!isSameUser(identity.userPrincipalName, device.userPrincipalName)) {
    return refuse("device-user-mismatch", "user", `the certificate's user is not that of ${who}`);
  }
  if (device.compliance !== "compliant") {
    const why = device.reason ?? `compliance is ${device.compliance}`;
    return refuse("device-noncompliant", "compliance", `${who} is not compliant: ${why}`);
  }
  if (age === "outdated") {
    const message = "the cloud has not confirmed device states for longer than the grace allows";
    return refuse("device-state-outdated", "state-age", message);
  }
  return undefined;
}

function isSameUser(asserted: string | undefined, assigned: string | undefined): boolean {
  if (asserted === undefined || assigned === undefined) return true;
  return asserted.toLowerCase() === assigned.toLowerCase();
}

function unknownDevice(message: string): GateVerdict {
  return { refusal: refuse("device-unknown", "known-device", message) };
}

function refuse(code: Refusal["code"], rule: string, message: string): Refusal {
  return { code, rule: `gate/${rule}`, message };
}
