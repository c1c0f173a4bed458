import type { Certificate } from "@isthmus/shared/x509/certificate";
import { assembleSigned, parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  type CertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import { derToPem } from "@isthmus/shared/x509/pem";
import type { Issuer } from "../core/issuer.ts";
import type { IssuanceAnswer, IssuanceOrder } from "../core/ports.ts";

/** An order as a back end sees it: read, and with a time limit. */
export interface RemoteOrder extends Pick<IssuanceOrder, "isRepeated" | "reference"> {
  /** Planned: unique for this order, though the authority will choose another. */
  readonly serialNumber: string;
  /** What the certificate is to be. */
  readonly planned: Certificate;
  readonly request: CertificationRequest;
  readonly requestPem: string;
  readonly signal: AbortSignal;
}

/** What differs between certification authorities. Their errors are ConnectorErrors, retryable where waiting helps. */
export interface RemoteBackEnd extends Disposable {
  issue(order: RemoteOrder): Promise<IssuanceAnswer>;
  /** A certificate that is revoked already is no error. */
  revoke(of: RemoteRevocation): Promise<void>;
  /** Whether it would sign; throws where not. Returns its issuing certificates as far as it tells them. */
  probe(signal: AbortSignal): Promise<readonly Certificate[]>;
}

export interface RemoteRevocation {
  readonly certificate: Certificate;
  readonly reason: RevocationReason;
  readonly signal: AbortSignal;
}

const NO_SIGNATURE = Buffer.alloc(1);

export function remoteOrder(
  order: IssuanceOrder & { readonly certificationRequest: Uint8Array },
  issuer: Issuer,
  signal: AbortSignal,
): RemoteOrder {
  const { serialNumber, isRepeated, reference } = order;
  const unsigned = assembleSigned(order.tbs, issuer.signatureAlgorithm, NO_SIGNATURE);
  return {
    serialNumber,
    planned: parseCertificate(unsigned),
    request: parseCertificationRequest(order.certificationRequest),
    requestPem: derToPem(order.certificationRequest, "CERTIFICATE REQUEST"),
    isRepeated,
    reference,
    signal,
  };
}

/** A serial number in decimal digits, as Go programs write it. */
export function decimalSerial({ serialNumber }: Pick<Certificate, "serialNumber">): string {
  return BigInt(`0x${serialNumber}`).toString();
}
