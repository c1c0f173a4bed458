import type { KeyObject } from "node:crypto";
import { openEnvelope } from "@isthmus/cert-connector/protocol/envelope-opening";
import { parseEnvelopedData } from "@isthmus/cert-connector/protocol/enveloped-data";
import type { KeyEncryption } from "@isthmus/cert-connector/protocol/key-encryption";
import {
  FAIL_INFOS,
  nameOf,
  PKI_STATUSES,
  parsePkiMessage,
  readNumber,
  readText,
} from "@isthmus/cert-connector/protocol/scep-message";
import { parseSignedData } from "@isthmus/cert-connector/protocol/signed-data";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { RawAnswer } from "./http-request.ts";

/** What kind of answer it is, without anything that differs from run to run: e.g. `FAILURE badAlg cms-algorithm`. */
export function answerClass({ status, body }: RawAnswer): string {
  if (status !== 200) return `HTTP ${status}`;
  const { messageType, signerInfo } = parsePkiMessage(body);
  if (messageType !== "CertRep") return messageType;
  const pkiStatus = nameOf(PKI_STATUSES, readNumber(signerInfo, OID.scepPkiStatus));
  if (pkiStatus !== "FAILURE") return `${pkiStatus}`;
  const failInfo = nameOf(FAIL_INFOS, readNumber(signerInfo, OID.scepFailInfo));
  const [code] = readText(signerInfo, OID.scepFailInfoText).split(":");
  return `FAILURE ${failInfo} ${code}`;
}

/** The certificate in a successful answer, and how it was sealed to the device. */
export function openAnswer(
  { body }: RawAnswer,
  key: KeyObject,
): {
  readonly certificate: Certificate;
  readonly keyEncryption: KeyEncryption;
  readonly cipher: string;
} {
  const message = parsePkiMessage(body);
  const envelope = parseEnvelopedData(message.signedData.content, { allowLegacy: true });
  const [recipient] = envelope.recipients;
  if (recipient === undefined) throw new Error("the answer is for nobody");
  const { keyEncryption, encryptedKey } = recipient;
  const { cipher, iv, encryptedContent } = envelope;
  const sealed = { keyEncryption, encryptedKey, cipher, iv, encryptedContent };
  const { plaintext, isIntact } = openEnvelope(sealed, key);
  const [der] = parseSignedData(plaintext).certificates;
  if (!isIntact || der === undefined) throw new Error("no certificate in the answer");
  return { certificate: parseCertificate(der), keyEncryption, cipher };
}
