import { RefusalError } from "../errors.ts";
import type { Certificate } from "./certificate.ts";
import { verifyIssuedBy } from "./chain.ts";
import { isSameName } from "./name.ts";
import { OID } from "./object-identifiers.ts";
import { isIssuedBy } from "./ocsp-request.ts";
import type { BasicOcspResponse, SingleResponse } from "./ocsp-response.ts";
import { keyIdentifierOf } from "./public-key.ts";
import { verify } from "./signature.ts";

export interface OcspQuestion {
  /** The issuer of the certificate in question. */
  readonly issuer: Certificate;
  /** Of the certificate in question, lower-case hex. */
  readonly serialNumber: string;
  /** What the request carried. A response without nonce passes (cached answers have none); another one does not. */
  readonly nonce?: Buffer | undefined;
  /** ms since the epoch. */
  readonly now: number;
}

/** Our own limit on how far the responder's clock may be ahead of ours. */
const MAX_CLOCK_SKEW_MS = 300_000;

/**
 * The answer to `question` in a response, after the checks of RFC 6960 section 3.2: signed by the issuer or by a responder
 * that the issuer delegated to, about this certificate, of now. How old an answer may be is the caller's policy.
 * Throws `RefusalError` with `ocsp-responder`, `ocsp-signature`, `ocsp-nonce`, `ocsp-missing` or `ocsp-time`.
 */
export function verifyOcspResponse(
  response: BasicOcspResponse,
  question: OcspQuestion,
): SingleResponse {
  const responder = authorizedResponder(response, question);
  const { tbs, signature, signatureAlgorithm } = response;
  if (!verify(signatureAlgorithm, tbs, signature, responder.publicKey())) {
    throw refusal("signature", "the signature is wrong");
  }
  const { nonce } = question;
  if (nonce !== undefined && response.nonce !== undefined && !response.nonce.equals(nonce)) {
    throw refusal("nonce", "the nonce is not the one we sent");
  }
  const single = response.responses.find(
    ({ certId }) =>
      certId.serialNumber === question.serialNumber && isIssuedBy(certId, question.issuer),
  );
  if (single === undefined) throw refusal("missing", "it says nothing of this certificate");
  checkTimes(single, question.now);
  return single;
}

/** RFC 6960 section 4.2.2.2: the issuer, or a holder of the issuer's certificate with the OCSP signing purpose. */
function authorizedResponder(response: BasicOcspResponse, question: OcspQuestion): Certificate {
  const { issuer, now } = question;
  if (isResponder(response, issuer)) return issuer;
  const delegate = response.certificates.find(
    (candidate) =>
      isResponder(response, candidate) &&
      candidate.extendedKeyUsage?.includes(OID.ocspSigning) === true &&
      candidate.notBefore <= now &&
      now <= candidate.notAfter &&
      candidate.unknownCritical.length === 0 &&
      verifyIssuedBy(candidate, issuer),
  );
  if (delegate === undefined) throw refusal("responder", "the responder is not authorized");
  return delegate;
}

function isResponder({ responderId }: BasicOcspResponse, candidate: Certificate): boolean {
  if (responderId.by === "name") return isSameName(responderId.name, candidate.subject);
  return responderId.keyHash.equals(keyIdentifierOf(candidate.publicKeyInfo));
}

function checkTimes({ thisUpdate, nextUpdate }: SingleResponse, now: number): void {
  if (thisUpdate > now + MAX_CLOCK_SKEW_MS) throw refusal("time", "it is of the future");
  if (nextUpdate !== undefined && nextUpdate + MAX_CLOCK_SKEW_MS < now) {
    throw refusal("time", "a newer one was due");
  }
}

function refusal(what: string, message: string): RefusalError {
  return new RefusalError(`ocsp-${what}`, "RFC 6960 section 3.2", `OCSP response: ${message}`);
}
