import { randomBytes } from "node:crypto";
import type { TestIdentity } from "@isthmus/shared/testing/certificate-authority";
import {
  type CertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import {
  type Extension,
  extendedKeyUsageExtension,
  type KeyUsage,
  keyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { issueCertificate, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { encodeName, firstValue } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { type Members, readMembers } from "../strict-json.ts";

/**
 * A role of the PKI secrets engine with its defaults, as the API documentation has them ("Create/Update Role"): the
 * request's own names win over the parameters unless `use_csr_common_name` and `use_csr_sans` are off, and the certificate
 * is for servers and clients.
 */
export interface VaultRole {
  readonly use_csr_common_name?: boolean;
  readonly use_csr_sans?: boolean;
  readonly server_flag?: boolean;
  readonly client_flag?: boolean;
  readonly key_usage?: readonly KeyUsage[];
  readonly organization?: readonly string[];
  readonly allowed_uri_sans?: readonly string[];
  readonly allowed_other_sans?: readonly string[];
  /** Seconds. */
  readonly max_ttl?: number;
}

/** The parameters of `sign/:name`; Vault passes over others with a warning, this one refuses them. */
const SIGN_PARAMETERS = {
  csr: "string",
  format: "string?",
  common_name: "string?",
  alt_names: "string?",
  ip_sans: "text-or-list?",
  uri_sans: "text-or-list?",
  other_sans: "text-or-list?",
  exclude_cn_from_sans: "boolean?",
  not_after: "string?",
  serial_number: "string?",
  user_ids: "text-or-list?",
} as const;
type SignParameters = Members<typeof SIGN_PARAMETERS>;

/** What Vault puts into its answer under `errors`. */
export class VaultRefusal extends Error {}

/** Signs as the role says. Throws VaultRefusal. */
export async function signByRole(
  body: unknown,
  role: VaultRole,
  issuer: TestIdentity,
  isVerbatim: boolean,
): Promise<Buffer> {
  const parameters = readMembers(body, SIGN_PARAMETERS);
  if (typeof parameters === "string") throw new VaultRefusal(`bad parameter: ${parameters}`);
  if ((parameters.format ?? "pem") !== "pem") throw new VaultRefusal("simulated for pem only");
  const request = readRequest(parameters.csr);
  const names = isVerbatim
    ? request.requested.subjectAltNames
    : namesFor(parameters, request, role);
  const notAfter = endOf(parameters, role, issuer);
  return await issueCertificate({
    subject: isVerbatim ? request.subject : subjectFor(parameters, request, role),
    issuer: { name: issuer.certificate.subject, key: issuer.key },
    publicKeyInfo: request.publicKeyInfo,
    // `not_before_duration` is 30 s by default.
    validity: { notBefore: Date.now() - 30_000, notAfter },
    serialNumber: serialNumberFrom(randomBytes(20)),
    extensions: [
      keyUsageExtension(role.key_usage ?? ["digitalSignature", "keyAgreement", "keyEncipherment"]),
      ...purposesOf(role),
      ...(names.length === 0 ? [] : [subjectAltNameExtension(names)]),
    ],
  });
}

function readRequest(pem: string): CertificationRequest {
  try {
    const [der] = pemToDer(pem, "CERTIFICATE REQUEST");
    const request = parseCertificationRequest(der ?? Buffer.alloc(0));
    if (request.verifySignature()) return request;
  } catch {
    // Said below.
  }
  throw new VaultRefusal("certificate request could not be parsed, or its signature is wrong");
}

function endOf(
  { not_after }: SignParameters,
  { max_ttl = 2_764_800 }: VaultRole,
  issuer: TestIdentity,
) {
  const isDate = not_after === undefined || /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(not_after);
  if (!isDate) throw new VaultRefusal("not_after is not YYYY-MM-ddTHH:MM:SSZ");
  const end = not_after === undefined ? Date.now() + max_ttl * 1_000 : Date.parse(not_after);
  if (end > Date.now() + max_ttl * 1_000)
    throw new VaultRefusal("cannot satisfy request: not_after is over max_ttl");
  if (end > issuer.certificate.notAfter)
    throw new VaultRefusal("not_after is past the issuer's own end");
  return end;
}

function subjectFor(parameters: SignParameters, request: CertificationRequest, role: VaultRole) {
  const requested = firstValue(request.subject, OID.commonName);
  const useRequest = role.use_csr_common_name ?? true;
  const commonName = useRequest ? requested : parameters.common_name;
  if (commonName === undefined || commonName === "") {
    throw new VaultRefusal("the common_name field is required");
  }
  const users = listOf(parameters.user_ids);
  return encodeName([
    ...(role.organization ?? []).map((value) => [{ type: OID.organizationName, value }]),
    [{ type: OID.commonName, value: commonName }],
    ...((parameters.serial_number ?? "") === ""
      ? []
      : [[{ type: OID.serialNumber, value: parameters.serial_number ?? "" }]]),
    ...users.map((value) => [{ type: OID.userId, value }]),
  ]);
}

function namesFor(
  parameters: SignParameters,
  request: CertificationRequest,
  role: VaultRole,
): readonly GeneralName[] {
  if (role.use_csr_sans ?? true) return request.requested.subjectAltNames;
  const own: GeneralName[] = listOf(parameters.alt_names).map((value) => ({
    type: value.includes("@") ? "email" : "dns",
    value,
  }));
  if (!parameters.exclude_cn_from_sans && /^[a-z0-9.-]+$/.test(parameters.common_name ?? "")) {
    own.push({ type: "dns", value: parameters.common_name ?? "" });
  }
  for (const value of listOf(parameters.ip_sans)) own.push({ type: "ip", value });
  for (const value of listOf(parameters.uri_sans)) {
    requireAllowed(value, role.allowed_uri_sans ?? [], "URI SAN");
    own.push({ type: "uri", value });
  }
  return [...own, ...listOf(parameters.other_sans).map((text) => otherName(text, role))];
}

/** `<oid>;UTF8:<value>`; the role allows them in the same form. */
function otherName(text: string, { allowed_other_sans = [] }: VaultRole): GeneralName {
  const [, oid, value] = /^([0-9.]+);UTF-?8:(.+)$/i.exec(text) ?? [];
  if (oid !== OID.userPrincipalName || value === undefined) {
    throw new VaultRefusal(`could not parse the other SAN ${text}`);
  }
  requireAllowed(text, allowed_other_sans, "other SAN");
  return { type: "upn", value };
}

/** The patterns have `*` for anything. */
function requireAllowed(value: string, patterns: readonly string[], what: string): void {
  const isAllowed = patterns.some((pattern) => {
    const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`, "i").test(value);
  });
  if (!isAllowed) throw new VaultRefusal(`${what} ${value} not allowed by this role`);
}

function purposesOf({ server_flag = true, client_flag = true }: VaultRole): Extension[] {
  const purposes = [
    ...(server_flag ? [OID.serverAuth] : []),
    ...(client_flag ? [OID.clientAuth] : []),
  ];
  return purposes.length === 0 ? [] : [extendedKeyUsageExtension(purposes)];
}

function listOf(value: string | readonly string[] = ""): string[] {
  const parts = typeof value === "string" ? value.split(",") : [...value];
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}
