import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { ConfigurationError } from "@isthmus/shared/errors";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { TlsMaterial } from "../device/tls-listener.ts";

/** Reads the gateway's certificate and key. @throws ConfigurationError where they cannot be used together. */
export function loadTlsMaterial(
  tls: LocalConfiguration["tls"],
  authorities: readonly string[],
): TlsMaterial {
  const certificate = read(tls.certificateFile, "tls.certificateFile");
  const key = read(tls.keyFile, "tls.keyFile");
  if (!belongTogether(certificate, key)) {
    throw fault("tls.keyFile", "is not the key of the certificate in tls.certificateFile");
  }
  try {
    createSecureContext({ cert: certificate, key });
  } catch (error) {
    throw fault("tls", error instanceof Error ? error.message : "cannot be used");
  }
  return { certificate, key, authorities };
}

function belongTogether(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw fault("tls", error instanceof Error ? error.message : "cannot be read");
  }
}

function read(file: string, key: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw fault(key, `${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function fault(key: string, message: string): ConfigurationError {
  return new ConfigurationError("the local configuration", [`${key}: ${message}`]);
}
