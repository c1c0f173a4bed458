import { RefusalError } from "@isthmus/shared/errors";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { OID } from "@isthmus/shared/x509/object-identifiers";

/** Where the record of an imported PFX comes from: who may be believed about its user. */
export type ImportedPfxSource = "control-plane" | "local";

/**
 * Holds an imported PFX to its user. The device's certificate has to name the user; where the control plane says whose PFX
 * it is, the certificate in the PFX has to name the same user too, or a relabelled record would bring one person's key to
 * another's device. Throws RefusalError `pfx-owner`.
 */
export function refuseOtherOwner(of: {
  readonly userPrincipalName: string;
  readonly source: ImportedPfxSource;
  /** Of the PFX. */
  readonly certificate: Certificate;
  /** Of the device. */
  readonly recipient: Certificate;
  readonly rule: "certificate" | "any";
}): void {
  if (of.rule === "any") return;
  const user = of.userPrincipalName.toLowerCase();
  if (!usersNamedBy(of.recipient).has(user)) {
    throw refusal(`The device's certificate does not name ${of.userPrincipalName}`);
  }
  if (of.source === "control-plane" && !usersNamedBy(of.certificate).has(user)) {
    throw refusal(`The certificate in the PFX does not name ${of.userPrincipalName}`);
  }
}

/** User principal names and mail addresses, in lower case. */
export function usersNamedBy({ subject, subjectAltNames }: Certificate): ReadonlySet<string> {
  const alternative = subjectAltNames.flatMap((name) =>
    name.type === "upn" || name.type === "email" ? [name.value] : [],
  );
  const mail = subject.attributes.flat().filter(({ type }) => type === OID.emailAddress);
  return new Set([...alternative, ...mail.map(({ value }) => value)].map((n) => n.toLowerCase()));
}

function refusal(message: string): RefusalError {
  return new RefusalError("pfx-owner", "certificates.importedPfxOwner", message);
}

/** What an imported certificate is for, in the words of Graph's userPfxCertificate. */
export const INTENDED_PURPOSES = [
  "unassigned",
  "smimeEncryption",
  "smimeSigning",
  "vpn",
  "wifi",
] as const;
export type IntendedPurpose = (typeof INTENDED_PURPOSES)[number];

/**
 * What speaks against using a certificate for a purpose now, in sentences; empty where nothing does. An expired certificate
 * still opens old mail, so that is no fault of one for `smimeEncryption`.
 */
export function purposeFaults(
  certificate: Certificate,
  purpose: IntendedPurpose,
  now: number,
): readonly string[] {
  const faults: string[] = [];
  const { keyUsage, extendedKeyUsage, notBefore, notAfter } = certificate;
  const lacks = (...usages: readonly string[]) =>
    keyUsage !== undefined && !keyUsage.some((usage) => usages.includes(usage));
  const isFor = (oid: string) =>
    extendedKeyUsage === undefined ||
    extendedKeyUsage.includes(oid) ||
    extendedKeyUsage.includes(OID.anyExtendedKeyUsage);
  const isMail = purpose === "smimeEncryption" || purpose === "smimeSigning";
  if (isMail && !isFor(OID.emailProtection)) faults.push("it is not for e-mail protection");
  if ((purpose === "vpn" || purpose === "wifi") && !isFor(OID.clientAuth)) {
    faults.push("it is not for client authentication");
  }
  if (
    purpose === "smimeEncryption" &&
    lacks("keyEncipherment", "dataEncipherment", "keyAgreement")
  ) {
    faults.push("its key usage does not allow encryption");
  }
  if (purpose === "smimeSigning" && lacks("digitalSignature", "nonRepudiation")) {
    faults.push("its key usage does not allow signatures");
  }
  if (now < notBefore) faults.push("it is not valid yet");
  if (now > notAfter && purpose !== "smimeEncryption") faults.push("it has expired");
  return faults;
}
