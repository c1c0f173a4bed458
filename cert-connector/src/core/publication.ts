import type { DirectoryLookUp } from "./directory-entry.ts";
import type { Grant } from "./grant.ts";
import type { Profile } from "./profile.ts";

/** That a certificate is to be put into a directory once it is issued; kept with the intent. */
export interface PlannedPublication {
  readonly directory: string;
  readonly lookUp: DirectoryLookUp;
}

export function plannedPublication({ directory }: Profile): PlannedPublication | undefined {
  if (directory === undefined || !directory.publish) return undefined;
  return { directory: directory.name, lookUp: directory.lookUp };
}

/** A certificate to put on an account, or to take off it. */
export interface ClaimedPublication extends PlannedPublication {
  readonly enrolmentId: number;
  readonly act: "add" | "remove";
  /** Where it was put, once it was. */
  readonly entryDn: string | undefined;
  /** Made before this one. */
  readonly attempts: number;
  readonly serialNumber: string;
  readonly grant: Grant;
  readonly certificate: Uint8Array;
}
