import { createPrivateKey, type KeyObject } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { isSameName } from "@isthmus/shared/x509/name";
import type { Pkcs12 } from "./pkcs12-reader.ts";

/** A private key with its certificate and the issuers that came along, the nearest first. */
export interface Pkcs12Identity {
  readonly privateKey: KeyObject;
  readonly certificate: Certificate;
  readonly chain: readonly Certificate[];
  readonly friendlyName: string | undefined;
}

/**
 * The one identity in a PFX. Which certificate is the key's is told by the key itself: attributes may be missing or wrong.
 * Throws ProtocolError `pkcs12-key` (none, several, or unusable), `pkcs12-certificate` (none for the key), `x509-*`.
 */
export function identityIn({ keys, certificates }: Pkcs12): Pkcs12Identity {
  const [key] = keys;
  if (key === undefined || keys.length > 1) {
    throw new ProtocolError("pkcs12-key", `PKCS#12: expected one private key, got ${keys.length}`);
  }
  const privateKey = importKey(key.privateKey);
  const publicKeyInfo = publicKeyInfoOf(privateKey);
  const all = certificates.map(({ certificate }) => parseCertificate(certificate));
  const at = all.findIndex((candidate) => candidate.publicKeyInfo.equals(publicKeyInfo));
  const certificate = all[at];
  if (certificate === undefined) {
    const message = "PKCS#12: no certificate in it belongs to the private key";
    throw new ProtocolError("pkcs12-certificate", message);
  }
  const friendlyName = certificates[at]?.friendlyName ?? key.friendlyName;
  return { privateKey, certificate, chain: chainOf(certificate, all), friendlyName };
}

function importKey(der: Buffer): KeyObject {
  try {
    return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  } catch (cause) {
    throw new ProtocolError("pkcs12-key", "PKCS#12: the private key is of no use", cause);
  }
}

/** Follows issuers by name as far as they are there; signatures are for whoever trusts the chain to check. */
function chainOf(leaf: Certificate, all: readonly Certificate[]): Certificate[] {
  const chain: Certificate[] = [];
  let last = leaf;
  for (let left = all.length; left > 0 && !isSameName(last.issuer, last.subject); left -= 1) {
    const below = last;
    const issuer = all.find((candidate) => isSameName(candidate.subject, below.issuer));
    if (issuer === undefined) break;
    chain.push(issuer);
    last = issuer;
  }
  return chain;
}
