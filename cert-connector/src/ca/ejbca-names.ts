import type { GeneralName } from "@isthmus/shared/x509/general-name";
import type { DistinguishedName } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";

/** Names as EJBCA writes them in its API: `CN=a,O=b` and `dNSName=a,uniformResourceId=b`, `\` before special characters. */

const ATTRIBUTES: Readonly<Record<string, string>> = {
  [OID.commonName]: "CN",
  [OID.surname]: "SURNAME",
  [OID.serialNumber]: "SN",
  [OID.countryName]: "C",
  [OID.localityName]: "L",
  [OID.stateOrProvinceName]: "ST",
  [OID.streetAddress]: "STREET",
  [OID.organizationName]: "O",
  [OID.organizationalUnitName]: "OU",
  [OID.title]: "T",
  [OID.givenName]: "GIVENNAME",
  [OID.initials]: "INITIALS",
  [OID.userId]: "UID",
  [OID.domainComponent]: "DC",
  [OID.emailAddress]: "E",
};

const FORMS = {
  dns: "dNSName",
  email: "rfc822Name",
  ip: "iPAddress",
  uri: "uniformResourceId",
  upn: "upn",
} as const;

/** The most specific attribute first; undefined where EJBCA has no word for one, or several stand in one part. */
export function ejbcaSubject({ attributes }: DistinguishedName): string | undefined {
  const parts: string[] = [];
  for (const [attribute, ...further] of attributes.toReversed()) {
    const name = attribute && ATTRIBUTES[attribute.type];
    if (name === undefined || attribute?.raw !== undefined || further.length > 0) return undefined;
    parts.push(`${name}=${escaped(attribute?.value ?? "")}`);
  }
  return parts.join(",");
}

/** Undefined where EJBCA has no word for one of the names. */
export function ejbcaAltNames(names: readonly GeneralName[]): string | undefined {
  const parts: string[] = [];
  for (const name of names) {
    if (name.type === "directory" || name.type === "other") return undefined;
    parts.push(`${FORMS[name.type]}=${escaped(name.value)}`);
  }
  return parts.join(",");
}

function escaped(value: string): string {
  return value
    .replace(/[\\",+<>;=]/g, "\\$&")
    .replace(/^[ #]/, "\\$&")
    .replace(/ $/, "\\ ");
}
