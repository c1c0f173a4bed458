import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Clock } from "@isthmus/shared/clock";
import { readStateFile, writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import type { Random } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  basicConstraintsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { derToPem, pemToDer } from "@isthmus/shared/x509/pem";
import type { Configuration } from "../config/configuration.ts";

const DAY_MS = 86_400_000;
/** Connectors pin the CA when they enrol, so it outlives them. */
const CA_DAYS = 20 * 365;
const CERTIFICATE_DAYS = 90;
/** A certificate is replaced when a third of its time is left. */
const RENEW_BEFORE_MS = (CERTIFICATE_DAYS / 3) * DAY_MS;
/** Clocks of clients may be behind ours. */
const BACKDATE_MS = 3_600_000;
const SERIAL_BYTES = 16;

/** What the server shows, and what clients have to know to trust it. */
export interface TlsIdentity {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** The CA's certificate; undefined where a public CA needs no telling. */
  readonly caPem: string | undefined;
  /** DNS names and addresses in the certificate. */
  readonly names: readonly string[];
  /** ms since the epoch. */
  readonly notAfter: number;
}

export interface TlsSettings {
  readonly tls: Configuration["tls"];
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** SHA-256 of the CA's DER, hex, as enrolment tokens carry it. */
export function caSha256(caPem: string): string {
  const [der = Buffer.alloc(0)] = pemToDer(caPem, "CERTIFICATE");
  return createHash("sha256").update(der).digest("hex");
}

/**
 * The server's TLS identity as it should be now: the configured files, or a certificate by the own CA, each made where it
 * is missing and the certificate made anew where it ends soon or lacks a name. Throws `x509-*` where a file is none.
 */
export async function tlsIdentity(settings: TlsSettings): Promise<TlsIdentity> {
  const { certificateFile, keyFile, caFile } = settings.tls;
  if (certificateFile === undefined || keyFile === undefined) return await ownIdentity(settings);
  const certificatePem = readFileSync(certificateFile, "utf8");
  const { notAfter, subjectAltNames } = leafOf(certificatePem);
  return {
    certificatePem,
    keyPem: readFileSync(keyFile, "utf8"),
    caPem: caFile === undefined ? undefined : readFileSync(caFile, "utf8"),
    names: subjectAltNames.flatMap(({ type, value }) =>
      type === "dns" || type === "ip" ? [String(value)] : [],
    ),
    notAfter,
  };
}

async function ownIdentity(settings: TlsSettings): Promise<TlsIdentity> {
  const { stateFolder, clock } = settings;
  const ca = await ownCa(settings);
  const file = join(stateFolder, "tls.pem");
  const present = readStateFile(file);
  const usable = present === undefined ? undefined : usableIdentity(present, ca.pem, settings);
  if (usable !== undefined) return usable;
  const key = newKey();
  const now = clock.now();
  const notAfter = now + CERTIFICATE_DAYS * DAY_MS;
  const certificate = await issueCertificate({
    subject: parseNameText("CN=Isthmus control plane"),
    issuer: { name: parseCertificate(derOf(ca.pem)).subject, key: ca.key },
    publicKeyInfo: publicKeyInfoOf(key),
    validity: { notBefore: now - BACKDATE_MS, notAfter },
    serialNumber: serialNumberFrom(settings.random.bytes(SERIAL_BYTES)),
    extensions: [
      basicConstraintsExtension({ isCa: false }),
      keyUsageExtension(["digitalSignature"]),
      extendedKeyUsageExtension([OID.serverAuth]),
      subjectAltNameExtension(settings.tls.names.map(generalName)),
    ],
  });
  const certificatePem = derToPem(certificate, "CERTIFICATE");
  const keyPem = pemOf(key);
  // One file, so that a crash cannot leave a certificate with another key.
  writeFileAtomically(file, `${certificatePem}${keyPem}`);
  return { certificatePem, keyPem, caPem: ca.pem, names: settings.tls.names, notAfter };
}

/** What is there, if it has every name, follows from the CA and lasts a while. */
function usableIdentity(
  text: string,
  caPem: string,
  { clock, tls }: TlsSettings,
): TlsIdentity | undefined {
  const keyAt = text.indexOf("-----BEGIN PRIVATE KEY-----");
  const certificatePem = text.slice(0, keyAt);
  const leaf = leafOf(certificatePem);
  const names = new Set(leaf.subjectAltNames.map((name) => String(name.value)));
  const isUsable =
    leaf.notAfter - clock.now() > RENEW_BEFORE_MS &&
    leaf.notBefore <= clock.now() &&
    tls.names.every((name) => names.has(name)) &&
    leaf.issuer.der.equals(parseCertificate(derOf(caPem)).subject.der);
  if (!isUsable) return undefined;
  const keyPem = text.slice(keyAt);
  return { certificatePem, keyPem, caPem, names: tls.names, notAfter: leaf.notAfter };
}

/** `ca.pem` is for whoever needs it, `ca-key.pem` for this process alone. */
async function ownCa({
  stateFolder,
  clock,
  random,
}: TlsSettings): Promise<{ pem: string; key: KeyObject }> {
  const [file, keyFile] = [join(stateFolder, "ca.pem"), join(stateFolder, "ca-key.pem")];
  const [pem, keyPem] = [readStateFile(file), readStateFile(keyFile)];
  if (pem !== undefined && keyPem !== undefined) return { pem, key: createPrivateKey(keyPem) };
  const key = newKey();
  const serialNumber = serialNumberFrom(random.bytes(SERIAL_BYTES));
  const certificate = await issueCertificate({
    // The number tells the CAs of several control planes apart where one machine trusts them all.
    subject: parseNameText(`CN=Isthmus control plane CA ${serialNumber.slice(0, 8)}`),
    issuer: { selfSignedWith: key },
    publicKeyInfo: publicKeyInfoOf(key),
    validity: { notBefore: clock.now() - BACKDATE_MS, notAfter: clock.now() + CA_DAYS * DAY_MS },
    serialNumber,
    extensions: [
      basicConstraintsExtension({ isCa: true, pathLength: 0 }),
      keyUsageExtension(["keyCertSign", "cRLSign"]),
    ],
  });
  const made = derToPem(certificate, "CERTIFICATE");
  writeFileAtomically(keyFile, pemOf(key));
  writeFileAtomically(file, made, 0o644);
  return { pem: made, key };
}

function leafOf(pem: string): Certificate {
  return parseCertificate(derOf(pem));
}

function derOf(pem: string): Buffer {
  const [der = Buffer.alloc(0)] = pemToDer(pem, "CERTIFICATE");
  return der;
}

function generalName(name: string): GeneralName {
  return { type: isIP(name) === 0 ? "dns" : "ip", value: name };
}

function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

function pemOf(key: KeyObject): string {
  return key.export({ format: "pem", type: "pkcs8" }).toString();
}
