import type { Certificate } from "@isthmus/shared/x509/certificate";
import { encodeSerialNumber, readSerialNumber } from "@isthmus/shared/x509/certificate";
import type { DerReader } from "@isthmus/shared/x509/der-reader";
import { sequence } from "@isthmus/shared/x509/der-writer";
import { type DistinguishedName, isSameName, readName } from "@isthmus/shared/x509/name";

/** Names one certificate (RFC 5652 section 10.2.4). */
export interface IssuerAndSerial {
  readonly issuer: DistinguishedName;
  /** Lower-case hex as in `Certificate`. */
  readonly serialNumber: string;
}

/** IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber INTEGER } */
export function readIssuerAndSerial(reader: DerReader): IssuerAndSerial {
  const body = reader.enter();
  const issuer = readName(body);
  const serialNumber = readSerialNumber(body);
  body.end();
  return { issuer, serialNumber };
}

export function encodeIssuerAndSerial(of: IssuerAndSerial): Buffer {
  return sequence(of.issuer.der, encodeSerialNumber(of.serialNumber));
}

export function isIdentifiedBy(certificate: Certificate, by: IssuerAndSerial): boolean {
  return certificate.serialNumber === by.serialNumber && isSameName(certificate.issuer, by.issuer);
}
