import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { ConfigurationError, codeOf } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { verifyIssuedBy } from "@isthmus/shared/x509/chain";
import { formatName } from "@isthmus/shared/x509/name-text";
import { derToPem, pemToDer } from "@isthmus/shared/x509/pem";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { TrustAnchor } from "../core/identity.ts";
import type { RevocationPlaces } from "../core/ports.ts";

/** Everything that the local configuration says about whom to trust. */
export interface Trust {
  readonly anchors: ReadonlyMap<string, TrustAnchor>;
  readonly places: readonly RevocationPlaces[];
  /** Every CA certificate, PEM, for OpenSSL. */
  readonly pem: readonly string[];
}

type AnchorConfiguration = LocalConfiguration["trustAnchors"][string];

/** Reads the trust anchors' files. @throws ConfigurationError with every fault. */
export function loadTrust(configuration: LocalConfiguration["trustAnchors"]): Trust {
  const faults: string[] = [];
  const anchors = Object.entries(configuration).map(([name, anchor]) => ({
    name,
    authorities: readAuthorities(name, anchor.file, faults),
    mayAssert: anchor.mayAssert,
    deviceIdPrefix: anchor.deviceIdPrefix,
    revocation: { hasLists: anchor.crl !== undefined, hasOcsp: anchor.ocsp !== undefined },
  }));
  if (faults.length > 0) throw new ConfigurationError("the trust anchors", faults);
  const authorities = anchors.flatMap((anchor) => anchor.authorities);
  return {
    anchors: new Map(anchors.map((anchor) => [anchor.name, anchor])),
    places: Object.entries(configuration).map(([name, anchor]) => placesOf(name, anchor)),
    pem: [...new Set(authorities.map(({ der }) => derToPem(der, "CERTIFICATE")))],
  };
}

/** The files whose change changes the trust. */
export function trustFiles(configuration: LocalConfiguration["trustAnchors"]): string[] {
  return Object.values(configuration).map((anchor) => anchor.file);
}

/** The revocation lists that are files. */
export function listFiles(configuration: LocalConfiguration["trustAnchors"]): string[] {
  return Object.values(configuration)
    .flatMap((anchor) => anchor.crl ?? [])
    .flatMap((source) => source.file ?? []);
}

function readAuthorities(name: string, file: string, faults: string[]): Certificate[] {
  const key = `trustAnchors.${name}.file`;
  try {
    const authorities = pemToDer(readFileSync(file, "latin1"), "CERTIFICATE").map((der) =>
      parseCertificate(der),
    );
    faults.push(...faultsOf(authorities).map((fault) => `${key}: ${fault}`));
    return authorities;
  } catch (error) {
    const reason = error instanceof Error ? error.message : codeOf(error);
    faults.push(`${key}: ${file} cannot be read: ${reason}`);
    return [];
  }
}

/** OpenSSL verifies every client up to a self-signed root, so the whole way has to be in the file. */
function faultsOf(authorities: readonly Certificate[]): string[] {
  if (authorities.length === 0) return ["it holds no certificate"];
  return authorities.flatMap((authority) => {
    const who = formatName(authority.subject);
    if (authority.basicConstraints?.isCa !== true) return [`${who} is no CA`];
    const hasIssuer = authorities.some((other) => verifyIssuedBy(authority, other));
    return hasIssuer ? [] : [`the CA that issued ${who} is missing; add it, up to the root`];
  });
}

function placesOf(name: string, anchor: AnchorConfiguration): RevocationPlaces {
  const sources = anchor.crl === undefined ? [] : [anchor.crl].flat();
  const lists = sources.flatMap(({ url, file }) => {
    if (url !== undefined) return [new URL(url)];
    return file === undefined ? [] : [pathToFileURL(file)];
  });
  return { anchor: name, lists, responder: anchor.ocsp && new URL(anchor.ocsp.url) };
}
