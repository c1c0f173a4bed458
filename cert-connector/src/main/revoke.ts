import { ConnectorError } from "@isthmus/shared/errors";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import type { RevocationOutcome } from "../core/ledger.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";

export interface RevocationOrder {
  readonly serialNumber: string;
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
    authority,
    publisher,
  }: Pick<CertificateConnector, "ledger" | "authority" | "publisher">,
  { serialNumber, reason, actor }: RevocationOrder,
): Promise<RevocationOutcome["kind"]> {
  const outcome = await ledger.revoke({ serialNumber, reason, actor, at: clock.now() });
  if (outcome.kind === "unknown") {
    throw new ConnectorError(
      "certificate-unknown",
      `no certificate ${serialNumber} was issued by this connector`,
    );
  }
  if (outcome.kind === "revoked") {
    await authority.revoke({ serialNumber, reason });
    await publisher.refresh();
  }
  return outcome.kind;
}
