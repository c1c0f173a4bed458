import { join } from "node:path";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
} from "@isthmus/shared/testing/certificate-authority";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { derToPem } from "@isthmus/shared/x509/pem";
import { secretFile } from "./lab.ts";

const DAY_MS = 86_400_000;

/** A root and an issuing CA that hold today, as files for a foreign server and for us. */
export interface AuthorityFiles {
  readonly root: TestIdentity;
  readonly issuing: TestIdentity;
  readonly rootFile: string;
  readonly issuingFile: string;
  readonly issuingKeyFile: string;
  /** What `issuerFile` names: the issuing certificate, then the root. */
  readonly chainFile: string;
}

export async function makeAuthorityFiles(folder: string): Promise<AuthorityFiles> {
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + 3_650 * DAY_MS };
  const root = await testAuthority({ subject: "CN=Foreign Root", serialNumber: "01", ...validity });
  const issuing = await testAuthority(
    { subject: "CN=Foreign Issuing CA,O=Foreign", serialNumber: "02", ...validity },
    root,
  );
  const write = (name: string, content: string) => secretFile(folder, name, content);
  const [rootPem, issuingPem] = [pemOf(root), pemOf(issuing)];
  return {
    root,
    issuing,
    rootFile: write("root.pem", rootPem),
    issuingFile: write("issuing.pem", issuingPem),
    issuingKeyFile: write("issuing.key", keyPemOf(issuing, "sec1")),
    chainFile: write("chain.pem", issuingPem + rootPem),
  };
}

/** A server's certificate for this machine, and its key. */
export async function makeServerFiles(folder: string, issuer: TestIdentity) {
  const identity = await testCertificate(
    {
      subject: "CN=127.0.0.1",
      serialNumber: "03",
      notBefore: Date.now() - DAY_MS,
      notAfter: Date.now() + DAY_MS,
      extensions: [subjectAltNameExtension([{ type: "ip", value: "127.0.0.1" }])],
    },
    issuer,
  );
  return {
    certificateFile: secretFile(folder, "server.pem", pemOf(identity)),
    keyFile: secretFile(folder, "server.key", keyPemOf(identity, "pkcs8")),
    folder: join(folder),
  };
}

export function pemOf({ certificate }: Pick<TestIdentity, "certificate">): string {
  return derToPem(certificate.der, "CERTIFICATE");
}

export function keyPemOf({ key }: Pick<TestIdentity, "key">, type: "sec1" | "pkcs8"): string {
  return key.export({ type, format: "pem" } as { type: "pkcs8"; format: "pem" }).toString();
}
