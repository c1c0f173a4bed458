import { ConnectorError } from "@isthmus/shared/errors";
import { certIdFor, encodeOcspRequest } from "@isthmus/shared/x509/ocsp-request";
import { parseOcspResponse } from "@isthmus/shared/x509/ocsp-response";
import { verifyOcspResponse } from "@isthmus/shared/x509/ocsp-verification";
import type { PeerCertificate } from "./identity.ts";
import type { KnownAnswer } from "./revocation.ts";

/** The request that asks about one certificate, DER. */
export function ocspRequestFor(certificate: PeerCertificate, nonce: Buffer): Buffer {
  const certId = certIdFor(certificate.issuer, certificate.serialNumber);
  return encodeOcspRequest({ certIds: [certId], nonce });
}

/**
 * Reads and verifies the answer to `ocspRequestFor`.
 *
 * @throws ConnectorError `ocsp-failed` when the responder gives no answer, or what reading and verifying throw.
 */
export function acceptAnswer(
  der: Uint8Array,
  certificate: PeerCertificate,
  nonce: Buffer,
  now: number,
): KnownAnswer {
  const response = parseOcspResponse(der);
  if (response.status !== "successful") {
    throw new ConnectorError("ocsp-failed", `the responder answered ${response.status}`);
  }
  const { issuer, serialNumber } = certificate;
  const single = verifyOcspResponse(response, { issuer, serialNumber, nonce, now });
  return { status: single.certStatus.status, nextUpdate: single.nextUpdate, confirmedAt: now };
}
