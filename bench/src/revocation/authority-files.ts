import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";

/** The issuing CA of a connector in `folder`, and how its addresses are called. */
export function issuingCertificate(folder: string): {
  readonly file: string;
  readonly certificate: Certificate;
  readonly keyId: string;
} {
  const file = join(folder, "ca", "issuing.pem");
  const [der] = pemToDer(readFileSync(file, "utf8"), "CERTIFICATE");
  if (der === undefined) throw new Error(`${file} holds no certificate`);
  const certificate = parseCertificate(der);
  const keyId = keyIdentifierOf(certificate.publicKeyInfo).toString("hex");
  return { file, certificate, keyId };
}
