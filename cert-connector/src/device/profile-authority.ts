import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { Profile } from "../core/profile.ts";
import type { RegistrationKeys } from "./registration-authority.ts";

/** What stands behind a profile's SCEP address. */
export interface ProfileAuthority {
  readonly registration: RegistrationKeys;
  /** Every issuing CA that the profile's certificates may be of; one that is not known at the moment is missing. */
  readonly issuers: readonly Certificate[];
  /** What GetCACert gives beside the RA's certificate: who would sign now first, its root last. Throws `ca-unavailable`. */
  chain(): readonly Certificate[];
  /** The CA that will follow, and its chain; empty until it is known. */
  readonly nextChain: readonly Certificate[];
  /** The list in force of an issuer that publishes here, DER. */
  currentList(issuer: Certificate): Uint8Array | undefined;
}

export type ProfileAuthorityOf = (profile: Profile) => ProfileAuthority;
