import { readFileSync } from "node:fs";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { pemToDer } from "@isthmus/shared/x509/pem";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import {
  ALERT_DAYS,
  CEREMONY_DAYS,
  type GuardedExpiry,
  OVERDUE_DAYS,
} from "../core/expiry-guard.ts";
import type { CertificateAuthority } from "../core/ports.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";

/** It is made anew at half of its seven days. */
const RESPONDER_DAYS = [2, 1, 0.25];
const HOURS_PER_DAY = 24;
/** Of the overlap, in which the next list has to come. */
const LIST_SHARES = [0.75, 0.5, 0.25];

/** The certificates of the authority's own folder: all that is known without the running service. */
export function authorityExpiries(of: {
  readonly root: { readonly notAfter: number };
  readonly issuing: { readonly notAfter: number };
}): readonly GuardedExpiry[] {
  return [
    {
      what: "root-ca",
      title: "root CA's certificate",
      notAfter: of.root.notAfter,
      warnDays: CEREMONY_DAYS,
      remedy: "make a new root and let devices learn it before the end",
      isVital: true,
    },
    {
      what: "issuing-ca",
      title: "issuing CA's certificate",
      notAfter: of.issuing.notAfter,
      warnDays: CEREMONY_DAYS,
      remedy: "prepare its successor now, so that devices learn it before the end",
      isVital: true,
    },
  ];
}

export function registrationExpiry(
  notAfter: number,
  renew?: GuardedExpiry["renew"],
): GuardedExpiry {
  return {
    what: "scep-ra",
    title: "certificate of SCEP's registration authority",
    notAfter,
    warnDays: renew === undefined ? ALERT_DAYS : OVERDUE_DAYS,
    remedy: "see the log for why no successor was made; SCEP clients refuse it after the end",
    isVital: true,
    renew,
  };
}

/** What ends of the connector's own. */
export function ownExpiries(
  connector: Pick<
    CertificateConnector,
    "files" | "registration" | "publisher" | "responder" | "configuration"
  >,
): readonly GuardedExpiry[] {
  const { files, registration } = connector;
  return [
    ...authorityExpiries({ root: files.root, issuing: files.issuing.certificate }),
    registrationExpiry(registration.current().responder.certificate.notAfter, () =>
      registration.renew(),
    ),
    responderExpiry(connector),
    listExpiry(connector),
  ];
}

/** What ends of that which others gave it. */
export function foreignExpiries(
  { local, stateFolder }: Pick<CertificateKernel, "local" | "stateFolder">,
  authorities: readonly CertificateAuthority[],
): readonly GuardedExpiry[] {
  return [
    ...authorities.flatMap(remoteIssuer),
    ...certificateFiles(local),
    ...cloudCa(stateFolder),
  ];
}

function responderExpiry({ responder }: Pick<CertificateConnector, "responder">): GuardedExpiry {
  return {
    what: "ocsp-responder",
    title: "OCSP responder's certificate",
    notAfter: responder.validUntil,
    warnDays: RESPONDER_DAYS,
    remedy: "restart the service; see the log for why it could not be renewed",
    isVital: true,
    renew: () => responder.start(),
  };
}

function listExpiry({
  publisher,
  configuration,
}: Pick<CertificateConnector, "publisher" | "configuration">): GuardedExpiry {
  const overlapDays = configuration.crl.overlapHours / HOURS_PER_DAY;
  return {
    what: "revocation-list",
    title: "revocation list",
    notAfter: publisher.current?.nextUpdate,
    warnDays: LIST_SHARES.map((share) => share * overlapDays),
    remedy: "see the log for why no list can be signed: most often the clock or a full disk",
    isVital: true,
    renew: () => publisher.refresh(),
  };
}

/** Of an authority elsewhere: its own successor is the business of who runs it, but our devices stand still. */
function remoteIssuer(authority: CertificateAuthority): GuardedExpiry[] {
  if (authority.kind === "embedded") return [];
  return [
    {
      what: label("authority", authority.name),
      title: `issuing certificate of the CA "${authority.name}"`,
      notAfter: issuerEnd(authority),
      warnDays: CEREMONY_DAYS,
      remedy: "put the certificate of its successor into the CA's issuerFile",
      isVital: false,
    },
  ];
}

function issuerEnd(authority: CertificateAuthority): number | undefined {
  try {
    return authority.issuer().certificate.notAfter;
  } catch {
    return undefined;
  }
}

/** Every certificate with which this connector shows itself to others: where the configuration says `certificateFile`. */
function certificateFiles(local: Partial<LocalConfiguration>): GuardedExpiry[] {
  const { authorities, tenants, webhooks, directories } = local;
  return Object.entries({ authorities, tenants, webhooks, directories }).flatMap(
    ([section, byName]) =>
      Object.entries(byName ?? {}).flatMap(([name, keys]) =>
        filesIn(keys).map(({ path, file }) => ({
          what: label(section, name, ...path),
          title: `certificate ${file}`,
          notAfter: endOfFile(file),
          warnDays: ALERT_DAYS,
          remedy: `have a new one issued for ${section}.${name} and replace the file`,
          isVital: false,
        })),
      ),
  );
}

function filesIn(value: unknown, path: readonly string[] = []): CertificateFile[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === "certificateFile" && typeof inner === "string"
      ? [{ path, file: inner }]
      : filesIn(inner, [...path, key]),
  );
}

interface CertificateFile {
  /** The keys that lead to it. */
  readonly path: readonly string[];
  readonly file: string;
}

/** Undefined for a file that is gone or no certificate: it was read at the start, and what reads it next says why not. */
function endOfFile(file: string): number | undefined {
  try {
    const [der] = pemToDer(readFileSync(file, "utf8"), "CERTIFICATE");
    return der && parseCertificate(der).notAfter;
  } catch {
    return undefined;
  }
}

/** The private CA of the control plane's TLS, pinned at enrolment. */
function cloudCa(stateFolder: string): GuardedExpiry[] {
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
function label(...parts: readonly string[]): string {
  return parts
    .join("-")
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, "-");
}
