import { createHash } from "node:crypto";
import { parseCertificate } from "./certificate.ts";
import { parseSignatureAlgorithm } from "./signature.ts";

const PREFIX = Buffer.from("tls-server-end-point:", "ascii");

/**
 * The TLS channel as its server's certificate tells it (RFC 5929 section 4.1): the digest is that of the certificate's own
 * signature, but SHA-256 where that is MD5 or SHA-1. Throws ProtocolError for a certificate that cannot be read.
 */
export function tlsServerEndPoint(certificateDer: Buffer): Buffer {
  const { signatureAlgorithm } = parseCertificate(certificateDer);
  const { digest } = parseSignatureAlgorithm(signatureAlgorithm, { allowSha1: true });
  const usable = digest === "sha384" || digest === "sha512" ? digest : "sha256";
  return Buffer.concat([PREFIX, createHash(usable).update(certificateDer).digest()]);
}
