import { parseSignedData } from "@isthmus/cert-connector/protocol/signed-data";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { buildChain } from "@isthmus/shared/x509/chain";

/** Which certificates a client takes for the CA and the RA from an answer to GetCACert. */
export interface CaChoice {
  readonly ca: Certificate;
  readonly signing: Certificate;
  readonly encryption: Certificate;
}

/**
 * As Apple's clients choose: of `x-x509-ca-cert` the one certificate is everything. Of `x-x509-ca-ra-cert` candidates for
 * the RA are told by their key usages (digitalSignature alone to sign, keyEncipherment alone to encrypt, both for either),
 * and each has to have a way to one CA among the certificates. Without candidates they fail with -67731.
 */
export function appleChoice(contentType: string, body: Buffer, now: number): CaChoice {
  if (contentType === "application/x-x509-ca-cert") {
    const certificate = parseCertificate(body);
    return { ca: certificate, signing: certificate, encryption: certificate };
  }
  const all = parseSignedData(body).certificates.map(parseCertificate);
  const of = (sign: boolean, encrypt: boolean) =>
    all.filter(
      ({ keyUsage = [] }) =>
        keyUsage.includes("digitalSignature") === sign &&
        keyUsage.includes("keyEncipherment") === encrypt,
    );
  const [signOnly, encryptOnly, both] = [of(true, false), of(false, true), of(true, true)];
  if (both.length === 0 && (signOnly.length === 0 || encryptOnly.length === 0)) {
    throw new Error("-67731: no candidate for the RA");
  }
  const [signing, encryption] = [withChain(signOnly, all, now), withChain(encryptOnly, all, now)];
  if (signing !== undefined && encryption !== undefined) {
    return { ca: signing.ca, signing: signing.leaf, encryption: encryption.leaf };
  }
  const one = withChain(both, all, now);
  if (one === undefined) throw new Error("the RA's certificate has no way to a CA");
  return { ca: one.ca, signing: one.leaf, encryption: one.leaf };
}

function withChain(candidates: readonly Certificate[], all: readonly Certificate[], now: number) {
  const roots = all.filter(({ subject, issuer }) => subject.der.equals(issuer.der));
  for (const leaf of candidates) {
    try {
      const ca = buildChain(leaf, all, roots, now).at(-1);
      if (ca !== undefined) return { leaf, ca };
    } catch {
      // The next candidate may have one.
    }
  }
  return undefined;
}

/**
 * As Windows does: the RA's certificate has to have digitalSignature and keyEncipherment, and an extended key usage; else it
 * asks for GetCACert again and again and never sends its request.
 */
export function windowsChoice(body: Buffer): CaChoice {
  const all = parseSignedData(body).certificates.map(parseCertificate);
  const isRa = ({ basicConstraints, keyUsage = [], extendedKeyUsage = [] }: Certificate) =>
    basicConstraints?.isCa !== true &&
    keyUsage.includes("digitalSignature") &&
    keyUsage.includes("keyEncipherment") &&
    extendedKeyUsage.length > 0;
  const ra = all.find(isRa);
  const ca = all.find((candidate) => ra?.issuer.der.equals(candidate.subject.der));
  if (ra === undefined || ca === undefined) throw new Error("Windows would ask for ever");
  return { ca, signing: ra, encryption: ra };
}
