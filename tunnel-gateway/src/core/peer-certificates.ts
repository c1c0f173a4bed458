import { hash } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { verifyIssuedBy } from "@isthmus/shared/x509/chain";
import {
  type CertificateFacts,
  issuerIdOf,
  type PeerCertificate,
  readIdentity,
  type TrustAnchor,
} from "./identity.ts";
import type { Refusal } from "./refusal.ts";

/** Our own: devices open connection after connection with the same certificate. */
const MAX_REMEMBERED = 10_000;

export type PeerVerdict =
  | { readonly certificate: PeerCertificate; readonly refusal?: undefined }
  | { readonly certificate?: undefined; readonly refusal: Refusal };

/** Reads client certificates that TLS has verified, and remembers what it read; made anew when trust anchors change. */
export class PeerCertificates {
  readonly #anchors: readonly TrustAnchor[];
  readonly #remembered = new Map<string, PeerVerdict>();

  constructor(anchors: Iterable<TrustAnchor>) {
    this.#anchors = [...anchors];
  }

  /** Who stands behind a certificate's DER. */
  read(der: Buffer): PeerVerdict {
    const thumbprint = hash("sha256", der, "hex");
    const known = this.#remembered.get(thumbprint);
    if (known) return known;
    const leaf = readLeaf(der);
    const verdict = leaf ? this.#judge(leaf, thumbprint) : UNREADABLE;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(thumbprint, verdict);
    return verdict;
  }

  /** A certificate that was read before a restart; its signature was verified then. */
  recall(facts: CertificateFacts): PeerVerdict {
    const anchor = this.#anchors.find(({ name }) => name === facts.anchor);
    const issuer = anchor?.authorities.find((one) => issuerIdOf(one) === facts.issuerId);
    return issuer ? { certificate: { ...facts, issuer } } : UNTRUSTED;
  }

  /** TLS has verified the chain up to some root; which anchor may speak for the device is decided by who issued it. */
  #judge(leaf: Certificate, thumbprint: string): PeerVerdict {
    for (const anchor of this.#anchors) {
      const issuer = anchor.authorities.find((authority) => verifyIssuedBy(leaf, authority));
      if (!issuer) continue;
      const { identity, refusal } = readIdentity(leaf, anchor);
      if (refusal) return { refusal };
      const issuerId = issuerIdOf(issuer);
      const { serialNumber, notAfter } = leaf;
      const key = `${issuerId}:${serialNumber}`;
      const names = { anchor: anchor.name, key, issuerId, issuer };
      return { certificate: { ...names, serialNumber, thumbprint, notAfter, identity } };
    }
    return UNTRUSTED;
  }
}

const UNTRUSTED: PeerVerdict = {
  refusal: {
    code: "certificate-untrusted",
    rule: "anchors",
    message: "no trust anchor lists the CA that issued the certificate",
  },
};
const UNREADABLE: PeerVerdict = {
  refusal: {
    code: "certificate-unreadable",
    rule: "anchors",
    message: "the certificate is not strict DER",
  },
};

/** OpenSSL reads more than we do; what only it can read is refused. */
function readLeaf(der: Buffer): Certificate | undefined {
  try {
    return parseCertificate(der);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}
