import type { AccessControl } from "../access.ts";
import type { Device } from "../device.ts";
import type { PeerCertificate } from "../identity.ts";
import type { PeerCertificates } from "../peer-certificates.ts";
import type { RevocationAsker } from "../ports.ts";
import type { Refusal } from "../refusal.ts";
import type { EngineConnection } from "../vpn-engine.ts";
import type { VpnGroup } from "./vpn-rules.ts";

/** Who a connection's certificate stands for. */
export interface CertificateHolder {
  readonly certificate: PeerCertificate;
  readonly der: Buffer;
  /** The device behind it, where it passes the gate. */
  readonly device: Device | undefined;
  /** Undefined for a certificate that names no user, of a device that has none. */
  readonly userName: string | undefined;
}

export type CertificateVerdict =
  | { readonly holder: CertificateHolder; readonly refusal?: undefined }
  | { readonly holder?: undefined; readonly refusal: Refusal };

/** The built-in authenticator: TLS has proved the key, the trust anchor says who it is, the gate whether the device may. */
export class CertificateStep {
  readonly #access: AccessControl;
  readonly #peers: () => PeerCertificates;
  readonly #revocation: RevocationAsker;

  constructor(options: {
    readonly access: AccessControl;
    readonly peers: () => PeerCertificates;
    readonly revocation: RevocationAsker;
  }) {
    this.#access = options.access;
    this.#peers = options.peers;
    this.#revocation = options.revocation;
  }

  async judge(connection: EngineConnection, group: VpnGroup): Promise<CertificateVerdict> {
    const [der] = connection.certificates;
    if (!der) return { refusal: MISSING };
    const { isVerified, reason } = connection.verification;
    if (!isVerified)
      return { refusal: { ...UNTRUSTED, message: `${UNTRUSTED.message}: ${reason}` } };
    const read = this.#peers().read(der);
    if (read.refusal) return { refusal: read.refusal };
    const { certificate } = read;
    if (this.#access.needsAnswer(certificate)) await this.#revocation.ask(certificate);
    const { refusal, device } = this.#access.admitHolder(certificate, group.requireDevice);
    if (refusal) return { refusal };
    const { userPrincipalName } = certificate.identity;
    const userName = userPrincipalName ?? device?.userPrincipalName;
    return { holder: { certificate, der, device, userName } };
  }
}

const MISSING: Refusal = {
  code: "certificate-missing",
  rule: "gate/certificate",
  message: "the group wants a certificate and the client showed none",
};
const UNTRUSTED: Refusal = {
  code: "certificate-untrusted",
  rule: "anchors",
  message: "the certificate is not trusted",
};
