import { hash } from "node:crypto";
import type { Grant } from "./grant.ts";
import type { Profile } from "./profile.ts";

const OCTETS = 4;

/**
 * By how much earlier than the profile says a certificate ends, ms: from nothing to `renewalSpreadPercent` of the validity.
 * Devices that all enrolled in one hour then do not all renew in one. It follows from who the device is, not from chance,
 * so that a repeated request is planned the same.
 */
export function renewalSpreadMs(
  { id, renewalSpreadPercent = 0 }: Pick<Profile, "id" | "renewalSpreadPercent">,
  grant: Grant,
  publicKeyInfo: Uint8Array,
  validityMs: number,
): number {
  if (renewalSpreadPercent === 0) return 0;
  const who = grant.deviceId ?? grant.userPrincipalName ?? hash("sha256", publicKeyInfo, "hex");
  const share = hash("sha256", `${id}\n${who}`, "buffer").readUIntBE(0, OCTETS) / 2 ** (8 * OCTETS);
  const spreadMs = (share * validityMs * renewalSpreadPercent) / 100;
  return Math.floor(spreadMs / 1_000) * 1_000;
}
