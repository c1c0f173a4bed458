import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import {
  authorityInfoAccessExtension,
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { nameConstraintsExtension } from "@isthmus/shared/x509/name-constraints";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { derToPem } from "@isthmus/shared/x509/pem";
import type { TestContext } from "vitest";
import { peer } from "../peers.ts";
import { runPeer } from "./run-peer.ts";

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/**
 * A folder of files for the openssl command line: a root, an issuing CA with path length and name constraints, and a
 * device's certificate, each as `<name>.pem`, the device's key as `device.key`.
 */
export interface OpensslWorkshop extends Disposable {
  readonly now: number;
  readonly root: TestIdentity;
  readonly issuing: TestIdentity;
  readonly device: TestIdentity;
  /** The path of a file in the folder. */
  file(name: string): string;
  save(name: string, certificate: Certificate): void;
  /** A certificate of the issuing CA for this host. */
  deviceNamed(host: string): Promise<TestIdentity>;
}

export async function opensslWorkshop(): Promise<OpensslWorkshop> {
  const now = Date.now();
  const validity = { notBefore: now - HOUR_MS, notAfter: now + YEAR_MS };
  const folder = temporaryFolder();
  const file = (name: string) => join(folder.path, name);
  const save = (name: string, { der }: Certificate) =>
    writeFileSync(file(`${name}.pem`), derToPem(der, "CERTIFICATE"));
  const root = await testAuthority({
    subject: "CN=root,O=Isthmus",
    key: testRsaKey(),
    ...validity,
  });
  const issuing = await testAuthority(
    { subject: "CN=issuing,O=Isthmus", extensions: issuingExtensions, ...validity },
    root,
  );
  const deviceNamed = (host: string) =>
    testCertificate(
      { extensions: deviceExtensions(host), key: testRsaKey(), ...validity },
      issuing,
    );
  const device = await deviceNamed("device.example.com");
  save("root", root.certificate);
  save("issuing", issuing.certificate);
  save("device", device.certificate);
  writeFileSync(file("device.key"), device.key.export({ type: "pkcs8", format: "pem" }));
  const dispose = () => folder[Symbol.dispose]();
  return { now, root, issuing, device, file, save, deviceNamed, [Symbol.dispose]: dispose };
}

const issuingExtensions = [
  basicConstraintsExtension({ isCa: true, pathLength: 0 }),
  keyUsageExtension(["keyCertSign", "cRLSign"]),
  nameConstraintsExtension({
    permitted: [{ type: "dns", value: "example.com" }],
    excluded: [{ type: "ip", value: Buffer.alloc(8) }],
  }),
];

function deviceExtensions(host: string) {
  return [
    keyUsageExtension(["digitalSignature", "keyEncipherment"]),
    extendedKeyUsageExtension([OID.clientAuth]),
    subjectAltNameExtension([
      { type: "dns", value: host },
      { type: "uri", value: "urn:isthmus:device:42" },
      { type: "upn", value: "a@b.example" },
    ]),
    crlDistributionPointsExtension(["http://crl.example/1.crl"]),
    authorityInfoAccessExtension({ ocsp: ["http://ocsp.example"], caIssuers: [] }),
    sidExtension("S-1-5-21-1-2-3-500"),
  ];
}

/** Runs openssl; its output. */
export async function openssl(context: TestContext, ...words: string[]): Promise<string> {
  return (await runPeer(peer("openssl", context), words)).text;
}
