import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { CertificationRequest } from "@isthmus/shared/x509/certification-request";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { isSameName } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";

/**
 * What goes to AD CS beside the request: `name:value` lines ([MS-WCCE] section 2.2.2.7). It makes certificates of what the
 * request says and of nothing else, and cannot revoke over HTTP what came out wrong; so the request is compared first.
 */
export interface RequestAttributes {
  readonly template: string;
  /** `san:` is believed only by a CA with EDITF_ATTRIBUTESUBJECTALTNAME2, which is dangerous: off unless it is known to be on. */
  readonly sanAttribute: boolean;
}

const LINE = "\r\n";
const SAN_FORMS = { dns: "dns", email: "email", uri: "url", upn: "upn", ip: "ipaddress" } as const;

/** The lines; undefined where a name cannot be written in one. */
export function requestAttributes(
  { template, sanAttribute }: RequestAttributes,
  planned: Certificate,
): string | undefined {
  const lines = [`CertificateTemplate:${template}`];
  if (sanAttribute && planned.subjectAltNames.length > 0) {
    const names = planned.subjectAltNames.map(sanPart);
    if (names.some((name) => name === undefined)) return undefined;
    lines.push(`san:${names.join("&")}`);
  }
  return lines.map((line) => line + LINE).join("");
}

/** `&` separates names and a line's end lines: a name that holds either would become two. */
function sanPart(name: GeneralName): string | undefined {
  if (name.type === "directory" || name.type === "other") return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  return /[&\u0000-\u001f]/.test(name.value) ? undefined : `${SAN_FORMS[name.type]}=${name.value}`;
}

/** Why AD CS would make another certificate than the one that was planned; undefined if it would not. */
export function requestDeviation(
  request: CertificationRequest,
  planned: Certificate,
  { sanAttribute }: RequestAttributes,
): string | undefined {
  const steering = steeringPart(request);
  if (steering !== undefined) return steering;
  if (!isSameName(request.subject, planned.subject)) return "its subject is not the profile's";
  if (sanAttribute) return undefined;
  const [asked, wanted] = [request.requested.subjectAltNames, planned.subjectAltNames].map(
    (names) => new Set(names.map(comparable)),
  );
  const isSame =
    asked?.size === wanted?.size && [...(asked ?? [])].every((name) => wanted?.has(name));
  if (isSame) return undefined;
  return "its alternative names are not the profile's";
}

/**
 * Parts of a request by which whoever made it, and not we, would tell AD CS what to make: another template, further
 * application policies (CVE-2024-49019), another account, attributes that belong beside the request.
 */
const STEERING: readonly string[] = [
  OID.enrollCertificateType,
  OID.certificateTemplate,
  OID.applicationPolicies,
  OID.applicationPolicyMappings,
  OID.ntdsCaSecurity,
];

function steeringPart({ extensionRequest, attributeTypes }: CertificationRequest) {
  const extension = extensionRequest.find(({ oid }) => STEERING.includes(oid));
  if (extension !== undefined) return `it asks for the extension ${extension.oid}`;
  if (attributeTypes.has(OID.enrolmentNameValuePair)) {
    return "it holds attributes that belong beside a request";
  }
  return undefined;
}

function comparable({ type, value }: GeneralName): string {
  return `${type}:${Buffer.isBuffer(value) ? value.toString("hex") : JSON.stringify(value)}`;
}
