import type { EmulatedClient } from "./clients.ts";
import { staticProfile } from "./static-profile.ts";

/** The profiles that recorded requests are for. */
export const corpusProfiles = [
  staticProfile("modern"),
  staticProfile("legacy", { legacyAlgorithms: true }),
];

export function profileOf({ isLegacy }: Pick<EmulatedClient, "isLegacy">): string {
  return isLegacy ? "legacy" : "modern";
}
