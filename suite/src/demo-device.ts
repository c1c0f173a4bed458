import { existsSync, readFileSync } from "node:fs";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { revocationListUrl } from "./configurations.ts";
import type { Layout } from "./layout.ts";
import type { Ports } from "./ports.ts";

/** A demonstration device whose certificate ends within this time enrols again. */
const MIN_LEFT_MS = 86_400_000;
const TIMEOUT_MS = 10_000;

/** Whether the demonstration's device has a certificate that the gateway lets in; asks the running cert-connector's list. */
export async function hasValidDevice(of: {
  readonly layout: Pick<Layout, "device">;
  readonly ports: Ports;
  readonly issuerKeyId: string;
}): Promise<boolean> {
  const { device } = of.layout;
  if (!existsSync(device.certificate) || !existsSync(device.key)) return false;
  const [der] = pemToDer(readFileSync(device.certificate, "utf8"), "CERTIFICATE");
  if (der === undefined) return false;
  const certificate = parseCertificate(der);
  if (certificate.notAfter <= Date.now() + MIN_LEFT_MS) return false;
  return !(await isRevoked(certificate, revocationListUrl(of.ports, of.issuerKeyId)));
}

/** Without a list nothing is known to be revoked: the gateway says what is wrong then. */
async function isRevoked({ serialNumber }: Certificate, listUrl: string): Promise<boolean> {
  const answer = await fetch(listUrl, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const body = Buffer.from(await answer.arrayBuffer());
  return answer.ok && parseCertificateList(body).revoked.has(serialNumber);
}
