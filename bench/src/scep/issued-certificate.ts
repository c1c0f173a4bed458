import { openEnvelope } from "@isthmus/cert-connector/protocol/envelope-opening";
import { parseEnvelopedData, sealedFor } from "@isthmus/cert-connector/protocol/enveloped-data";
import { readScepAnswer, type ScepTransaction } from "@isthmus/cert-connector/protocol/scep-client";
import { parsePkiMessage } from "@isthmus/cert-connector/protocol/scep-message";
import { parseSignedData } from "@isthmus/cert-connector/protocol/signed-data";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";

/** How closely an answer is looked at. */
export type Scrutiny = "whole" | "certificate-only";

/**
 * The certificate in the answer to an enrolment. `certificate-only` passes over what surrounds it: scepserver 2.1.0
 * returns the device's nonce as its own, which a careful client refuses. Throws with the reason where there is none.
 */
export function issuedCertificate(
  body: Uint8Array,
  transaction: ScepTransaction,
  scrutiny: Scrutiny,
): Certificate {
  const { publicKeyInfo } = transaction.signer.certificate;
  const certificates =
    scrutiny === "whole" ? readWhole(body, transaction) : readContent(body, transaction);
  const own = certificates.find((each) => each.publicKeyInfo.equals(publicKeyInfo));
  if (own === undefined) throw new Error("the answer holds no certificate for the device's key");
  return own;
}

function readWhole(body: Uint8Array, transaction: ScepTransaction): readonly Certificate[] {
  const answer = readScepAnswer(body, transaction);
  if (answer.status !== "SUCCESS") throw new Error(`answered ${JSON.stringify(answer)}`);
  return answer.certificates;
}

function readContent(body: Uint8Array, { signer }: ScepTransaction): Certificate[] {
  const { content } = parsePkiMessage(body).signedData;
  const envelope = parseEnvelopedData(content, { allowLegacy: true });
  const addressed = sealedFor(envelope, [signer.certificate]);
  if (addressed === undefined) throw new Error("the answer is encrypted to someone else");
  const { plaintext } = openEnvelope(addressed.sealed, signer.privateKey);
  return parseSignedData(plaintext).certificates.map(parseCertificate);
}
