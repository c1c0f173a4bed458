import {
  ALERT_DAYS,
  CEREMONY_DAYS,
  type GuardedExpiry,
  OVERDUE_DAYS,
} from "../core/expiry-guard.ts";
import type { CertificateAuthority } from "../core/ports.ts";
import { cloudCaExpiry, credentialExpiries, expiryLabel } from "./credential-expiries.ts";
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
  notAfter: number | undefined,
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
    registrationExpiry(endOfRegistration(registration), () => registration.renew()),
    responderExpiry(connector),
    listExpiry(connector),
  ];
}

/** Undefined where no key can be used, which has a check of its own. */
function endOfRegistration(registration: CertificateConnector["registration"]): number | undefined {
  try {
    return registration.current().responder.certificate.notAfter;
  } catch {
    return undefined;
  }
}

/** What ends of that which others gave it. */
export function foreignExpiries(
  { local, stateFolder }: Pick<CertificateKernel, "local" | "stateFolder">,
  authorities: readonly CertificateAuthority[],
): readonly GuardedExpiry[] {
  return [
    ...authorities.flatMap(remoteIssuer),
    ...credentialExpiries(local),
    ...cloudCaExpiry(stateFolder),
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
      what: expiryLabel("authority", authority.name),
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
