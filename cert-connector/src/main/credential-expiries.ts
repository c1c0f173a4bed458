import { readFileSync } from "node:fs";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { pemToDer } from "@isthmus/shared/x509/pem";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import { ALERT_DAYS, type GuardedExpiry } from "../core/expiry-guard.ts";

/** With what this connector shows itself to others; of a certificate the file tells, of a secret the configuration. */
interface Credential {
  /** The keys that lead to it. */
  readonly path: readonly string[];
  readonly title: string;
  readonly notAfter: number | undefined;
}

/** Every end that the local configuration leads to: each `certificateFile`, and each `expiresOn` of a secret. */
export function credentialExpiries(local: Partial<LocalConfiguration>): GuardedExpiry[] {
  const { authorities, tenants, webhooks, directories } = local;
  const sections = { authorities, tenants, webhooks, directories };
  return credentialsIn(sections).map(({ path, title, notAfter }) => ({
    what: expiryLabel(...path),
    title,
    notAfter,
    warnDays: ALERT_DAYS,
    remedy: `have a new one made for ${path.join(".")}, and replace the file`,
    isVital: false,
  }));
}

function credentialsIn(value: unknown, path: readonly string[] = []): Credential[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (typeof inner !== "string") return credentialsIn(inner, [...path, key]);
    return credentialAt(key, inner, path);
  });
}

function credentialAt(key: string, text: string, path: readonly string[]): Credential[] {
  switch (key) {
    case "certificateFile":
      return [{ path, title: `certificate ${text}`, notAfter: endOfFile(text) }];
    case "expiresOn":
      return [{ path, title: `secret of ${path.join(".")}`, notAfter: Date.parse(text) }];
    default:
      return [];
  }
}

/** Undefined for a file that is gone or no certificate: it was read at the start, and what reads it next says why not. */
function endOfFile(file: string): number | undefined {
  try {
    const bytes = readFileSync(file);
    const [der] = bytes.includes("-----BEGIN")
      ? pemToDer(bytes.toString(), "CERTIFICATE")
      : [bytes];
    return der && parseCertificate(der).notAfter;
  } catch {
    return undefined;
  }
}

/** The private CA of the control plane's TLS, pinned at enrolment. */
export function cloudCaExpiry(stateFolder: string): GuardedExpiry[] {
  const notAfter = endOfFile(stateFolderAt(stateFolder).cloudCaFile);
  if (notAfter === undefined) return [];
  return [
    {
      what: "cloud-ca",
      title: "pinned CA of the control plane's TLS",
      notAfter,
      warnDays: ALERT_DAYS,
      remedy: "enrol again with a token of the control plane's new CA: `enrol --replace`",
      isVital: false,
    },
  ];
}

/** A label of the metric: lower case, letters, digits and hyphens. */
export function expiryLabel(...parts: readonly string[]): string {
  return parts
    .join("-")
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, "-");
}
