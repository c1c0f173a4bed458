import { hash, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import { ConnectorError } from "@isthmus/shared/errors";

/** Own limit: the chain of a site is leaf and root, rarely one more. */
const MAX_CHAIN = 8;

/** `sha256/` and the base64 of SHA-256 over a SubjectPublicKeyInfo, as RFC 7469 pins keys. */
export function pinOf(certificate: X509Certificate): string {
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  return `sha256/${hash("sha256", key, "base64")}`;
}

/** Names and keys, leaf first. */
export function chainWords(chain: readonly X509Certificate[]): string {
  return chain.map((each) => `${each.subject.replaceAll("\n", ", ")} ${pinOf(each)}`).join("; ");
}

/** What the server sent, leaf first, and behind it what of the configured CAs signed that. */
export function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

/**
 * Refuses a chain that does not lead to the pinned key: by signatures, with certificates that hold now, for this host. All of it is
 * checked here, since a pin without a CA file means that TLS itself has checked nothing. Throws ConnectorError `site-pin`,
 * `site-certificate`.
 */
export function requirePinned(
  chain: readonly X509Certificate[],
  { pin, host, now }: { readonly pin: string; readonly host: string; readonly now: number },
): void {
  const at = chain.findIndex((certificate) => pinOf(certificate) === pin);
  const [leaf] = chain;
  if (at === -1 || leaf === undefined) {
    throw new ConnectorError(
      "site-pin",
      `${host} shows no certificate with the pinned key ${pin} but ${chainWords(chain) || "none"}: if the site's certificate was renewed on purpose, correct site.pin; if the root is not sent, give it as site.caFile`,
    );
  }
  const path = chain.slice(0, at + 1);
  path.forEach((certificate, index) => {
    requireCurrent(certificate, host, now);
    if (index > 0) requireIssuedBy(path[index - 1] as X509Certificate, certificate, host);
  });
  const found = isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host);
  if (found === undefined) {
    throw refused(host, `it is for ${leaf.subjectAltName ?? leaf.subject}`);
  }
}

function requireCurrent(certificate: X509Certificate, host: string, now: number): void {
  const { validFromDate, validToDate } = certificate;
  if (now >= validFromDate.getTime() && now <= validToDate.getTime()) return;
  throw refused(
    host,
    `it holds from ${validFromDate.toISOString()} to ${validToDate.toISOString()} only`,
  );
}

function requireIssuedBy(subject: X509Certificate, issuer: X509Certificate, host: string): void {
  if (issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey)) return;
  throw refused(host, "a certificate of its chain is not signed by the next");
}

function refused(host: string, why: string): ConnectorError {
  return new ConnectorError(
    "site-certificate",
    `the certificate of ${host} does not verify: ${why}; check site.url, site.caFile or site.pin, and the clock`,
  );
}
