import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CA_EXTENSIONS,
  type TestIdentity,
  testAuthority,
  testCertificate,
} from "@isthmus/shared/testing/certificate-authority";
import { assembleSigned } from "@isthmus/shared/x509/certificate";
import { encodeTbsCertificateList } from "@isthmus/shared/x509/certificate-list";
import {
  basicConstraintsExtension,
  type Extension,
  extendedKeyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { derToPem } from "@isthmus/shared/x509/pem";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { sign, signatureAlgorithmFor } from "@isthmus/shared/x509/signature";

const DAY_MS = 86_400_000;

/** A certificate and key in PEM. */
export interface PemIdentity {
  readonly certificate: string;
  readonly key: string;
}

/** A CA that issues certificates to devices and says which it has revoked; valid around the real present. */
export interface DeviceAuthority {
  readonly root: TestIdentity;
  readonly issuing: TestIdentity;
  /** Both CA certificates, PEM. */
  readonly pem: string;
}

let serial = 0x4100;

/** A serial number that no other certificate of this process has. */
export function nextSerial(): string {
  serial += 1;
  return serial.toString(16);
}

function validity(): { readonly notBefore: number; readonly notAfter: number } {
  return { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + 90 * DAY_MS };
}

export async function makeDeviceAuthority(name = "Devices"): Promise<DeviceAuthority> {
  const root = await testAuthority({ subject: `CN=${name} root`, ...validity() });
  const subject = `CN=${name} issuing`;
  const serialNumber = nextSerial();
  const options = { subject, serialNumber, extensions: CA_EXTENSIONS, ...validity() };
  const issuing = await testAuthority(options, root);
  const pem = [issuing, root].map((one) => derToPem(one.certificate.der, "CERTIFICATE")).join("");
  return { root, issuing, pem };
}

/** A client certificate with these alternative names; `purposes` in place of that of a client. */
export async function issueTo(
  authority: DeviceAuthority,
  names: readonly GeneralName[],
  options: {
    readonly serialNumber?: string;
    readonly notAfter?: number;
    readonly extensions?: readonly Extension[];
    readonly purposes?: readonly string[];
  } = {},
): Promise<PemIdentity> {
  const { purposes = [OID.clientAuth], ...own } = options;
  const identity = await testCertificate(
    {
      ...validity(),
      serialNumber: nextSerial(),
      ...own,
      extensions: [
        extendedKeyUsageExtension(purposes),
        subjectAltNameExtension(names),
        ...(own.extensions ?? []),
      ],
    },
    authority.issuing,
  );
  return pemOf(identity);
}

/** The name that says which device a certificate is for. */
export function deviceUri(deviceId: string): GeneralName {
  return { type: "uri", value: `urn:isthmus:device:${deviceId}` };
}

export function pemOf(identity: TestIdentity): PemIdentity {
  return {
    certificate: derToPem(identity.certificate.der, "CERTIFICATE"),
    key: identity.key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** A self-signed server certificate for `localhost` and 127.0.0.1, PEM. */
export async function makeServerIdentity(): Promise<PemIdentity> {
  const extensions = [
    basicConstraintsExtension({ isCa: true }),
    subjectAltNameExtension([
      { type: "dns", value: "localhost" },
      { type: "ip", value: "127.0.0.1" },
    ]),
  ];
  const serialNumber = nextSerial();
  return pemOf(
    await testCertificate({ subject: "CN=localhost", serialNumber, extensions, ...validity() }),
  );
}

export function writeIdentity(folder: string, name: string, identity: PemIdentity) {
  const certificateFile = join(folder, `${name}.pem`);
  const keyFile = join(folder, `${name}.key`);
  writeFileSync(certificateFile, identity.certificate);
  writeFileSync(keyFile, identity.key, { mode: 0o600 });
  return { certificateFile, keyFile };
}

/** A revocation list of the issuing CA, DER. Times are ms since the epoch. */
export async function makeList(
  authority: DeviceAuthority,
  of: {
    readonly number: number;
    readonly serials?: readonly string[];
    readonly thisUpdate?: number;
    readonly nextUpdate?: number;
    /** Signs in place of the issuing CA. */
    readonly signer?: TestIdentity;
  },
): Promise<Buffer> {
  const { certificate, key } = of.signer ?? authority.issuing;
  const signatureAlgorithm = signatureAlgorithmFor(key);
  const thisUpdate = of.thisUpdate ?? Date.now() - 60_000;
  const tbs = encodeTbsCertificateList({
    issuer: authority.issuing.certificate.subject,
    authorityKeyIdentifier: keyIdentifierOf(certificate.publicKeyInfo),
    thisUpdate,
    nextUpdate: of.nextUpdate ?? Date.now() + DAY_MS,
    crlNumber: of.number,
    revoked: (of.serials ?? []).map((serialNumber) => ({
      serialNumber,
      revokedAt: thisUpdate,
      reason: "keyCompromise" as const,
    })),
    signatureAlgorithm,
  });
  return assembleSigned(tbs, signatureAlgorithm, await sign(signatureAlgorithm, tbs, key));
}
