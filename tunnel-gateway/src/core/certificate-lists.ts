import { ConnectorError } from "@isthmus/shared/errors";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { type CertificateList, parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { isSameName } from "@isthmus/shared/x509/name";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { verify } from "@isthmus/shared/x509/signature";

/** Our own: how far a responder's clock may be ahead of ours. */
const MAX_CLOCK_SKEW_MS = 300_000;

/**
 * Reads a certificate revocation list and checks that one of `authorities` issued it, that it is not from the future and
 * not older than the one we hold. Throws `ConnectorError` with a `crl-*` code, or what the reader throws.
 */
export function acceptList(
  der: Uint8Array,
  authorities: readonly Certificate[],
  held: (issuer: Certificate) => CertificateList | undefined,
  now: number,
): { readonly list: CertificateList; readonly issuer: Certificate } {
  const list = parseCertificateList(der);
  const issuer = authorities.find((authority) => isSignedBy(list, authority));
  if (!issuer) {
    throw new ConnectorError("crl-issuer", "the list is not signed by a CA of this trust anchor");
  }
  if (list.thisUpdate > now + MAX_CLOCK_SKEW_MS) {
    throw new ConnectorError("crl-from-the-future", "the list's thisUpdate is ahead of our clock");
  }
  const current = held(issuer);
  if (current && isOlder(list, current)) {
    throw new ConnectorError("crl-went-back", "the list is older than the one already held");
  }
  return { list, issuer };
}

function isSignedBy(list: CertificateList, authority: Certificate): boolean {
  if (!isSameName(list.issuer, authority.subject)) return false;
  // RFC 5280 section 4.2.1.3: where the CA states its key usage, it must include cRLSign.
  if (authority.keyUsage && !authority.keyUsage.includes("cRLSign")) return false;
  return verify(list.signatureAlgorithm, list.tbs, list.signature, authority.publicKey());
}

/** By number where both have one (RFC 5280 section 5.2.3: it only grows), else by date. */
function isOlder(list: CertificateList, current: CertificateList): boolean {
  if (list.crlNumber !== undefined && current.crlNumber !== undefined) {
    return list.crlNumber < current.crlNumber;
  }
  return list.thisUpdate < current.thisUpdate;
}

/** Serial numbers that `next` revokes and `previous` did not. */
export function newlyRevoked(
  next: CertificateList,
  previous: CertificateList | undefined,
): string[] {
  return [...next.revoked.keys()].filter((serialNumber) => !previous?.revoked.has(serialNumber));
}

/** The DER of a list as it was published; some CAs publish PEM. Throws `x509-pem` for what only begins like it. */
export function derOfList(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!text.subarray(0, 64).includes("-----BEGIN")) return bytes;
  return pemToDer(text.toString("latin1"), "X509 CRL")[0] ?? bytes;
}
