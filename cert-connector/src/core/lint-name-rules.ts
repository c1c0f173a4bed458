import { isIPv6 } from "node:net";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { isSameName } from "@isthmus/shared/x509/name";
import { isNamePermitted } from "@isthmus/shared/x509/name-constraints";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { DEVICE_URI_PREFIX } from "./grant.ts";
import type { LintRule, LintSubject } from "./lint-rule.ts";

/** Upper bounds of RFC 5280 appendix A.1, in characters. */
const UPPER_BOUNDS: Readonly<Record<string, number>> = {
  [OID.commonName]: 64,
  [OID.organizationName]: 64,
  [OID.organizationalUnitName]: 64,
  [OID.localityName]: 128,
  [OID.stateOrProvinceName]: 128,
  [OID.countryName]: 2,
  [OID.serialNumber]: 64,
  [OID.title]: 64,
  [OID.emailAddress]: 255,
  [OID.domainComponent]: 63,
  [OID.pseudonym]: 128,
};
/** Our own limits. */
const MAX_ATTRIBUTES = 20;
const MAX_NAMES = 50;
const MAX_NAME_CHARACTERS = 512;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;
const DNS_NAME =
  /^(?=.{1,253}$)(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;
const ADDRESS_IN_NUMBERS = /^[0-9.]+$/;
/** RFC 5890 section 2.3.1: two hyphens in the third and fourth place are for names in Punycode. */
const RESERVED_LABEL = /(?:^|\.)(?!xn--)[^.]{2}--/i;
const COUNTRY = /^[A-Z]{2}$/;
const MAILBOX = /^[^\s@]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/;
/** Scheme, and host with its port where there is an authority (RFC 3986 section 3.2). */
const URI_HOST =
  /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:[\]]*|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:[/?#]|$)/i;
const ABSOLUTE_URI = /^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`]+$/;

/** What the names in a certificate have to be. */
export const NAME_RULES: readonly LintRule[] = [
  {
    name: "some-name",
    source: "RFC 5280 section 4.1.2.6",
    fault: ({ certificate }) => {
      if (certificate.subject.attributes.length > 0) return undefined;
      const isCritical = certificate.extensions.some(
        ({ oid, critical }) => oid === OID.subjectAltName && critical,
      );
      return isCritical ? undefined : "no subject, and no critical alternative name";
    },
  },
  {
    name: "subject-values",
    source: "RFC 5280 appendix A.1; no invisible characters",
    fault: ({ certificate }) => {
      const attributes = certificate.subject.attributes.flat();
      if (attributes.length > MAX_ATTRIBUTES) return `more than ${MAX_ATTRIBUTES} attributes`;
      const bad = attributes.find(({ type, value, raw }) => {
        const length = [...value].length;
        return (
          raw !== undefined ||
          length === 0 ||
          length > (UPPER_BOUNDS[type] ?? MAX_NAME_CHARACTERS) ||
          CONTROL_CHARACTERS.test(value)
        );
      });
      return bad && `attribute ${bad.type} is empty, too long or not readable text`;
    },
  },
  {
    name: "one-common-name",
    source: "ours: what reads the first common name and what reads the last must agree",
    fault: ({ certificate }) => {
      const names = certificate.subject.attributes.flat().filter(isCommonName);
      return names.length > 1 ? `${names.length} common names` : undefined;
    },
  },
  {
    name: "country",
    source: "RFC 5280 appendix A.1; ISO 3166-1",
    fault: ({ certificate }) => {
      const countries = certificate.subject.attributes.flat().filter(isCountry);
      return countries.every(({ value }) => COUNTRY.test(value))
        ? undefined
        : "a country is two capital letters";
    },
  },
  {
    name: "subject-mail",
    source: "RFC 5280 section 4.1.2.6",
    fault: ({ certificate }) => {
      const addresses = certificate.subject.attributes.flat().filter(isMailAddress);
      return addresses.every(({ value }) => MAILBOX.test(value))
        ? undefined
        : "an email address that is none";
    },
  },
  {
    name: "subject-of-the-authority",
    source: "RFC 5280 section 4.2.1.9: chains are built by names",
    fault: ({ certificate, issuer }) =>
      issuer.chain.some(({ subject }) => isSameName(subject, certificate.subject))
        ? "the subject is that of a CA"
        : undefined,
  },
  {
    name: "alternative-names",
    source: "RFC 5280 section 4.2.1.6",
    fault: ({ certificate: { subjectAltNames } }) => {
      if (subjectAltNames.length > MAX_NAMES) return `more than ${MAX_NAMES}`;
      return subjectAltNames.map(nameFault).find((fault) => fault !== undefined);
    },
  },
  {
    name: "dns-labels",
    source: "RFC 5280 section 4.2.1.6; RFC 5890 section 2.3.1",
    fault: ({ certificate: { subjectAltNames } }) =>
      subjectAltNames.some(({ type, value }) => type === "dns" && !hasUsualLabels(value))
        ? "a DNS name that is an address, or with a label reserved for Punycode"
        : undefined,
  },
  {
    name: "uri-authority",
    source: "RFC 5280 section 4.2.1.6: a URI with an authority names a host",
    fault: ({ certificate: { subjectAltNames } }) =>
      subjectAltNames.some(({ type, value }) => type === "uri" && !hasHostIfAny(value))
        ? "a URI whose host is none"
        : undefined,
  },
  {
    name: "alternative-names-repeat",
    source: "ours",
    fault: ({ certificate: { subjectAltNames } }) => {
      const texts = subjectAltNames.map(({ type, value }) => `${type}:${String(value)}`);
      return new Set(texts).size < texts.length ? "a name comes twice" : undefined;
    },
  },
  {
    name: "one-device",
    source: "ours: a certificate stands for one device",
    fault: ({ certificate }) => {
      const devices = certificate.subjectAltNames.filter(isDeviceUri);
      return devices.length > 1 ? `${devices.length} device ids` : undefined;
    },
  },
  {
    name: "name-constraints",
    source: "RFC 5280 section 4.2.1.10",
    fault: nameConstraintFault,
  },
];

function isCommonName({ type }: { readonly type: string }): boolean {
  return type === OID.commonName;
}

function isCountry({ type }: { readonly type: string }): boolean {
  return type === OID.countryName;
}

function isMailAddress({ type }: { readonly type: string }): boolean {
  return type === OID.emailAddress;
}

function hasUsualLabels(name: string): boolean {
  return !ADDRESS_IN_NUMBERS.test(name) && !RESERVED_LABEL.test(name);
}

function hasHostIfAny(uri: string): boolean {
  if (!uri.slice(0, uri.indexOf(":") + 3).endsWith("://")) return true;
  const host = URI_HOST.exec(uri)?.[1];
  if (host === undefined) return false;
  return host.startsWith("[") ? isIPv6(host.slice(1, -1)) : DNS_NAME.test(host);
}

function isDeviceUri(name: GeneralName): boolean {
  return name.type === "uri" && name.value.toLowerCase().startsWith(DEVICE_URI_PREFIX);
}

function nameFault(name: GeneralName): string | undefined {
  switch (name.type) {
    case "dns":
      return DNS_NAME.test(name.value) ? undefined : "a DNS name that is none";
    case "email":
      return MAILBOX.test(name.value) ? undefined : "an email address that is none";
    case "uri":
      return ABSOLUTE_URI.test(name.value) && name.value.length <= MAX_NAME_CHARACTERS
        ? undefined
        : "a URI that is none";
    case "upn":
      return isUserPrincipalName(name.value) ? undefined : "a user principal name that is none";
    case "ip":
    case "directory":
    case "other":
      return `a name of form ${name.type}, which no profile can ask for`;
  }
}

function isUserPrincipalName(value: string): boolean {
  const isBounded = value.length <= MAX_NAME_CHARACTERS && !CONTROL_CHARACTERS.test(value);
  return isBounded && /^[^\s@]+@[^\s@]+$/.test(value);
}

/** Of every CA in the chain, for the subject as a directory name too. */
function nameConstraintFault({ certificate, issuer }: LintSubject): string | undefined {
  const { subject, subjectAltNames } = certificate;
  const names: readonly GeneralName[] =
    subject.attributes.length === 0
      ? subjectAltNames
      : [{ type: "directory", value: subject }, ...subjectAltNames];
  for (const { nameConstraints } of issuer.chain) {
    if (nameConstraints === undefined) continue;
    const outside = names.find((name) => !isNamePermitted(name, nameConstraints));
    if (outside !== undefined) return `a ${outside.type} name that the CA may not certify`;
  }
  return undefined;
}
