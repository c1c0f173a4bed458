import type { TestIdentity } from "@isthmus/shared/testing/certificate-authority";
import {
  type CertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import {
  basicConstraintsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { issueCertificate } from "@isthmus/shared/x509/issue";
import { OID } from "@isthmus/shared/x509/object-identifiers";

/** What a template does with a request: "Supply in the request", with or without a CA manager's approval. */
export interface AdcsTemplate {
  readonly decision: "issue" | "pend" | "deny";
  readonly validityDays: number;
}

/** A request in the CA's database. */
export interface AdcsRequest {
  readonly id: number;
  state: "issued" | "pending" | "denied" | "revoked";
  certificate: Buffer | undefined;
  readonly make: () => Promise<Buffer>;
}

/** Of [MS-ERREF]. */
export const HRESULT = {
  unsupportedTemplate: 0x80094800,
  deniedByPolicy: 0x80094014,
  badRequest: 0x80093005,
  noSuchRequest: 0x80094004,
  unavailable: 0x800706ba,
} as const;

/** A failure with the HRESULT that Windows shows. */
export class AdcsFailure extends Error {
  readonly code: number;
  readonly requestId: number | undefined;

  constructor(code: number, message: string, requestId?: number) {
    super(message);
    this.code = code;
    this.requestId = requestId;
  }
}

/** The CA behind both front doors. It copies subject and names from the request, and believes `san:` if it is told to. */
export class AdcsAuthority {
  readonly requests: AdcsRequest[] = [];
  readonly templates: Readonly<Record<string, AdcsTemplate>>;
  /** EDITF_ATTRIBUTESUBJECTALTNAME2. */
  believesSanAttribute = false;
  /** The service is stopped: its web server answers, and cannot reach it. */
  isStopped = false;
  readonly #issuer: TestIdentity;

  constructor(issuer: TestIdentity, templates: Readonly<Record<string, AdcsTemplate>>) {
    this.#issuer = issuer;
    this.templates = templates;
  }

  /** `attributes`: lines of `name:value`, each ended by CRLF. */
  async submit(der: Buffer, attributes: ReadonlyMap<string, string>): Promise<AdcsRequest> {
    if (this.isStopped)
      throw new AdcsFailure(HRESULT.unavailable, "The RPC server is unavailable.");
    const request = readRequest(der);
    const template = this.templates[attributes.get("certificatetemplate") ?? ""];
    if (template === undefined) {
      throw new AdcsFailure(
        HRESULT.unsupportedTemplate,
        "The requested certificate template is not supported by this CA.",
      );
    }
    const san = this.believesSanAttribute ? attributes.get("san") : undefined;
    const names = san === undefined ? request.requested.subjectAltNames : sanAttribute(san);
    const entry: AdcsRequest = {
      id: this.requests.length + 1,
      state: template.decision === "deny" ? "denied" : "pending",
      certificate: undefined,
      make: () => this.#issue(request, names, template, entry.id),
    };
    this.requests.push(entry);
    if (template.decision === "issue") await this.decide(entry.id, true);
    return entry;
  }

  /** As a CA manager does. */
  async decide(id: number, isApproved: boolean): Promise<void> {
    const entry = this.find(id);
    if (entry.state !== "pending") throw new Error(`request ${id} is ${entry.state}`);
    if (isApproved) entry.certificate = await entry.make();
    entry.state = isApproved ? "issued" : "denied";
  }

  find(id: number): AdcsRequest {
    if (this.isStopped)
      throw new AdcsFailure(HRESULT.unavailable, "The RPC server is unavailable.");
    const entry = this.requests.find((each) => each.id === id);
    if (entry !== undefined) return entry;
    throw new AdcsFailure(HRESULT.noSuchRequest, "The request does not exist.");
  }

  async #issue(
    request: CertificationRequest,
    names: readonly GeneralName[],
    { validityDays }: AdcsTemplate,
    id: number,
  ): Promise<Buffer> {
    const now = Math.floor(Date.now() / 1_000) * 1_000;
    const { certificate, key } = this.#issuer;
    return await issueCertificate({
      subject: request.subject,
      issuer: { name: certificate.subject, key },
      publicKeyInfo: request.publicKeyInfo,
      validity: { notBefore: now - 600_000, notAfter: now + validityDays * 86_400_000 },
      serialNumber: `61${id.toString(16).padStart(36, "0")}`,
      extensions: [
        basicConstraintsExtension({ isCa: false }),
        keyUsageExtension(["digitalSignature", "keyEncipherment"]),
        extendedKeyUsageExtension([OID.clientAuth]),
        ...(names.length > 0 ? [subjectAltNameExtension(names)] : []),
      ],
    });
  }
}

function readRequest(der: Buffer): CertificationRequest {
  try {
    const request = parseCertificationRequest(der);
    if (request.verifySignature()) return request;
  } catch {
    // Answered as one with a wrong signature is.
  }
  throw new AdcsFailure(HRESULT.badRequest, "ASN1 bad tag value met.");
}

const SAN_TYPES: Readonly<Record<string, "dns" | "email" | "uri" | "upn">> = {
  dns: "dns",
  email: "email",
  url: "uri",
  upn: "upn",
};

function sanAttribute(text: string): GeneralName[] {
  return text.split("&").map((part) => {
    const at = part.indexOf("=");
    const type = SAN_TYPES[part.slice(0, at).toLowerCase()];
    if (type === undefined) throw new AdcsFailure(HRESULT.badRequest, "The data is invalid.");
    return { type, value: part.slice(at + 1) };
  });
}
