import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { SignatureAlgorithm } from "@isthmus/shared/x509/signature";

/** Who signs: a certificate and what follows from it. */
export interface Issuer {
  /** Hex of the subject key identifier: names this issuer in addresses and in the ledger. */
  readonly keyId: string;
  readonly certificate: Certificate;
  /** The issuer's own certificate first, its root last. */
  readonly chain: readonly Certificate[];
  readonly signatureAlgorithm: SignatureAlgorithm;
}
