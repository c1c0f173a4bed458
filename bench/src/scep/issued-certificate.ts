import { readScepAnswer, type ScepTransaction } from "@isthmus/cert-connector/protocol/scep-client";
import type { Certificate } from "@isthmus/shared/x509/certificate";

/**
 * The certificate in the answer to an enrolment: a CertRep of the server, of this transaction, with SUCCESS, and encrypted
 * to the device. Throws with the reason where there is none.
 */
export function issuedCertificate(body: Uint8Array, transaction: ScepTransaction): Certificate {
  const { publicKeyInfo } = transaction.signer.certificate;
  const answer = readScepAnswer(body, transaction);
  if (answer.status !== "SUCCESS") throw new Error(`answered ${JSON.stringify(answer)}`);
  const own = answer.certificates.find((each) => each.publicKeyInfo.equals(publicKeyInfo));
  if (own === undefined) throw new Error("the answer holds no certificate for the device's key");
  return own;
}
