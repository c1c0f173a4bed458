import { hash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { ConfigurationError } from "@isthmus/shared/errors";
import type { VpnSite } from "../device/vpn-static-pages.ts";

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** What clients may fetch: the gateway's certificate (PEM, leaf first) and the profile. @throws ConfigurationError */
export function vpnSite(chain: string, profileFile: string | undefined): VpnSite {
  const [leaf, issuer] = (chain.match(PEM_CERTIFICATE) ?? []).map(
    (pem) => new X509Certificate(pem).raw,
  );
  if (!leaf) throw fault("tls.certificateFile: holds no certificate");
  const profile = profileFile === undefined ? undefined : readProfile(profileFile);
  return { certificate: leaf, issuer, certificateHash: sha1(leaf), profile };
}

function readProfile(path: string): VpnSite["profile"] {
  try {
    const xml = readFileSync(path);
    return { file: basename(path), hash: sha1(xml), xml };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw fault(`vpn.profileFile: ${path} cannot be read: ${code}`);
  }
}

/** As clients compare it: AnyConnect knows certificates and profiles by SHA-1. */
function sha1(bytes: Uint8Array): string {
  return hash("sha1", bytes, "hex");
}

function fault(message: string): ConfigurationError {
  return new ConfigurationError("the local configuration", [message]);
}
