import { ConnectorError } from "@isthmus/shared/errors";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import type { RevocationOutcome } from "../core/ledger.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";

export interface RevocationOrder {
  readonly serialNumber: string;
  /** RFC 4514; needed only where two issuers have used the same number. */
  readonly issuer?: string | undefined;
  readonly reason: RevocationReason;
  readonly actor: string;
}

/**
 * Revokes one certificate and returns once the list that says so is in force. Revoking again changes nothing. Throws
 * ConnectorError `certificate-unknown`.
 */
export async function revoke(
  { clock }: Pick<CertificateKernel, "clock">,
  {
    ledger,
    authorities,
    publisher,
  }: Pick<CertificateConnector, "ledger" | "authorities" | "publisher">,
  { serialNumber, issuer, reason, actor }: RevocationOrder,
): Promise<RevocationOutcome["kind"]> {
  const outcome = await ledger.revoke({ serialNumber, issuer, reason, actor, at: clock.now() });
  if (outcome.kind === "unknown") {
    throw new ConnectorError(
      "certificate-unknown",
      `no certificate ${serialNumber} was issued by this connector`,
    );
  }
  if (outcome.kind === "revoked") {
    const { certificate } = outcome;
    await authorities
      .named(outcome.authority)
      .revoke({ serialNumber: outcome.serialNumber, reason, certificate });
    await publisher.refresh();
  }
  return outcome.kind;
}
