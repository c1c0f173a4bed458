import { ConnectorError } from "@isthmus/shared/errors";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import type { AuthorityTold } from "../core/authority-revocation.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";

export interface RevocationOrder {
  readonly serialNumber: string;
  /** RFC 4514; needed only where two issuers have used the same number. */
  readonly issuer?: string | undefined;
  readonly reason: RevocationReason;
  readonly actor: string;
}

/** Where a remote authority made the certificate: whether it knows already, will be told, or cannot be. */
export type RevocationState = AuthorityTold | "already-revoked";

/**
 * Revokes one certificate and returns once the list that says so is in force. Revoking again changes nothing. Throws
 * ConnectorError `certificate-unknown`.
 */
export async function revoke(
  { clock }: Pick<CertificateKernel, "clock">,
  {
    ledger,
    authorityRevocations,
    publisher,
  }: Pick<CertificateConnector, "ledger" | "authorityRevocations" | "publisher">,
  { serialNumber, issuer, reason, actor }: RevocationOrder,
): Promise<RevocationState> {
  const outcome = await ledger.revoke({ serialNumber, issuer, reason, actor, at: clock.now() });
  if (outcome.kind === "unknown") {
    throw new ConnectorError(
      "certificate-unknown",
      `no certificate ${serialNumber} was issued by this connector`,
    );
  }
  if (outcome.kind === "already-revoked") return "already-revoked";
  const told = await authorityRevocations.tell(outcome);
  await publisher.refresh();
  return told;
}
