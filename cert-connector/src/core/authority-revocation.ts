import type { RevocationReason } from "@isthmus/shared/x509/extensions";

/**
 * A revocation that a remote authority has to be told of. It is ordered in the transaction that decides it, and stays
 * until the authority has done it:
 *
 *     ordered --told--> (gone, in the audit)
 *        \--cannot be told--> by hand, until the certificate expires
 */
export interface AuthorityRevocation {
  readonly authority: string;
  /** The authority's own number. */
  readonly serialNumber: string;
  readonly certificate: Uint8Array;
  /** ms; afterwards there is nothing left to revoke. */
  readonly notAfter: number;
  readonly reason: RevocationReason;
}

export interface ClaimedAuthorityRevocation extends AuthorityRevocation {
  readonly id: number;
  /** Before this one. */
  readonly attempts: number;
}

/** `later`: it is tried again until it is done. `by-hand`: this authority has no way to be told. */
export type AuthorityTold = "revoked" | "later" | "by-hand";

/** Tells an authority at once of what was ordered; `revoked` also where nothing is. Never throws. */
export type TellAuthority = (
  of: Pick<AuthorityRevocation, "authority" | "serialNumber">,
) => Promise<AuthorityTold>;
