import type { AuthorityTold } from "./authority-revocation.ts";

/**
 * Revocations that a tenant of Intune asks for. Each request is kept until its result was taken:
 *
 *     (downloaded) --> requested --revoked in the ledger--> revoked --at its authority--> done --uploaded--> (gone)
 *                          \--not found, revoked before, not to be understood------------> done
 *
 * What the guardrails' window does not let through stays `requested` for later.
 */

/** As Intune sends it; `requestContext` is its own and goes back with the result. */
export interface RequestedRevocation {
  readonly requestContext: string;
  readonly serialNumber: string;
  readonly issuerName?: string | null | undefined;
}

/** Codes that say whether Intune is to ask again. */
export type RevocationErrorCode =
  | "None"
  | "ParameterDataInvalidError"
  | "CertificateNotFoundError"
  | "ConflictError"
  | "NotSupportedError";

export interface FinishedRevocation {
  readonly requestContext: string;
  readonly succeeded: boolean;
  readonly errorCode: RevocationErrorCode;
  readonly errorMessage: string | null;
}

/** Revoked in the ledger; its authority has to be told. */
export interface RevokedOnRequest {
  readonly id: number;
  readonly authority: string;
  readonly serialNumber: string;
  readonly certificate: Uint8Array;
}

export interface RevocationInbox {
  /** Keeps requests; one that is there already is not kept twice. */
  keep(of: {
    readonly tenant: string;
    readonly requests: readonly RequestedRevocation[];
    readonly at: number;
  }): Promise<void>;
  /** Revokes what is requested as far as the window goes; all that is revoked and whose authority was not told. */
  revoke(of: { readonly tenant: string; readonly at: number }): Promise<{
    readonly revoked: readonly RevokedOnRequest[];
    /** Held back by the guardrails. */
    readonly heldBack: number;
  }>;
  /** Their authorities know; `by-hand` are those whose authority has no way to be told. */
  confirm(of: {
    readonly revoked: readonly number[];
    readonly byHand: readonly number[];
  }): Promise<void>;
  finished(
    tenant: string,
  ): Promise<readonly { readonly id: number; readonly result: FinishedRevocation }[]>;
  forget(ids: readonly number[]): Promise<void>;
}

export interface RequestedRevocationsParts {
  readonly tenant: string;
  readonly inbox: RevocationInbox;
  readonly download: () => Promise<readonly RequestedRevocation[]>;
  readonly upload: (results: readonly FinishedRevocation[]) => Promise<void>;
  /** At the authority that issued it; may be called twice. */
  readonly revokeAt: (of: RevokedOnRequest) => Promise<AuthorityTold>;
  /** Puts lists in force that say so. */
  readonly publish: () => Promise<void>;
  readonly now: () => number;
  /** An authority that could not be told yet; Intune hears of it when it knows. */
  readonly onLate: (of: RevokedOnRequest) => void;
}

export interface RevocationRound {
  readonly downloaded: number;
  readonly reported: number;
  readonly heldBack: number;
  readonly late: number;
}

/**
 * One round: what is left of earlier ones and a page of new requests is revoked, one list published for all, and the
 * results uploaded. A crash anywhere repeats no more than reports.
 */
export async function revocationRound(parts: RequestedRevocationsParts): Promise<RevocationRound> {
  const { tenant, inbox, now } = parts;
  const left = await inbox.revoke({ tenant, at: now() });
  // While the window is full nothing more is fetched: what waits here is bounded by one page.
  const requests = left.heldBack > 0 ? [] : await parts.download();
  if (requests.length > 0) await inbox.keep({ tenant, requests, at: now() });
  const { revoked, heldBack } =
    requests.length > 0 ? await inbox.revoke({ tenant, at: now() }) : left;
  const told = await tellAuthorities(parts, revoked);
  if (revoked.length > 0) {
    await parts.publish();
    await inbox.confirm(told);
  }
  const finished = await inbox.finished(tenant);
  if (finished.length > 0) {
    await parts.upload(finished.map(({ result }) => result));
    await inbox.forget(finished.map(({ id }) => id));
  }
  const { length: reported } = finished;
  return {
    downloaded: requests.length,
    reported,
    heldBack,
    late: revoked.length - told.revoked.length - told.byHand.length,
  };
}

async function tellAuthorities(
  { revokeAt, onLate }: RequestedRevocationsParts,
  all: readonly RevokedOnRequest[],
): Promise<{ readonly revoked: readonly number[]; readonly byHand: readonly number[] }> {
  const [revoked, byHand]: [number[], number[]] = [[], []];
  for (const each of all) {
    const told = await revokeAt(each);
    if (told === "revoked") revoked.push(each.id);
    else if (told === "by-hand") byHand.push(each.id);
    else onLate(each);
  }
  return { revoked, byHand };
}
