import { assembleSigned } from "@isthmus/shared/x509/certificate";
import { encodeTbsCertificateList, type Revocation } from "@isthmus/shared/x509/certificate-list";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { sign, signatureAlgorithmFor } from "@isthmus/shared/x509/signature";
import type { PublishedList } from "../core/revocation-ledger.ts";
import type { AuthorityFiles, KeyedCertificate } from "./authority-folder.ts";

/**
 * The root's own list: which issuing authorities are revoked. It is signed with the root's key, which is kept off line, so it
 * lives as long as an issuing authority does; a revocation makes a new one, which has to be put in the place of the old.
 */
export interface RootListOrder {
  readonly root: KeyedCertificate;
  /** One more than that of the list before. */
  readonly number: bigint;
  readonly revoked: Iterable<Revocation & { readonly serialNumber: string }>;
  readonly now: number;
  readonly validityMs: number;
}

export async function signRootList(order: RootListOrder): Promise<Buffer> {
  const { root, number, revoked, now, validityMs } = order;
  const { certificate, key } = root;
  const signatureAlgorithm = signatureAlgorithmFor(key);
  const tbs = encodeTbsCertificateList({
    issuer: certificate.subject,
    authorityKeyIdentifier: keyIdentifierOf(certificate.publicKeyInfo),
    thisUpdate: now,
    nextUpdate: Math.min(now + validityMs, certificate.notAfter),
    crlNumber: number,
    revoked,
    signatureAlgorithm,
  });
  return assembleSigned(tbs, signatureAlgorithm, await sign(signatureAlgorithm, tbs, key));
}

/** The root's list as it is published, under the root's own key identifier; none where the authority has none. */
export function rootLists({
  root,
  rootList,
}: Pick<AuthorityFiles, "root" | "rootList">): Omit<PublishedList, "number" | "thisUpdate">[] {
  if (rootList === undefined) return [];
  const issuerKeyId = keyIdentifierOf(root.publicKeyInfo).toString("hex");
  return [{ issuerKeyId, der: rootList.der, nextUpdate: rootList.nextUpdate ?? root.notAfter }];
}
