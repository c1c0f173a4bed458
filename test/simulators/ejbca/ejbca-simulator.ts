import type { TestIdentity } from "@isthmus/shared/testing/certificate-authority";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { isSameName } from "@isthmus/shared/x509/name";
import {
  type JsonAnswer,
  type JsonRequest,
  type JsonServer,
  startJsonServer,
} from "../json-server.ts";
import { type Members, readMembers, type Shape } from "../strict-json.ts";
import {
  type EjbcaCertificateProfile,
  EjbcaRefusal,
  readAltNames,
  readRequest,
  readSubject,
  signForEndEntity,
} from "./ejbca-certificate.ts";

/**
 * EJBCA's REST interface as far as its OpenAPI description and manual show what a client sees that enrols, searches and
 * revokes. Clients show a certificate; what is not described is refused.
 */
export interface EjbcaOptions {
  readonly issuer: TestIdentity;
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string };
  readonly profile: EjbcaCertificateProfile;
}

interface EndEntity {
  readonly subject: string;
  readonly altNames: string;
  password: string;
  status: "NEW" | "GENERATED";
}

export interface EjbcaSimulator extends JsonServer {
  /** Certificates in the order they were made, by the name of their end entity. */
  readonly issued: { readonly username: string; readonly certificate: Certificate }[];
  /** Serial numbers with their reasons. */
  readonly revoked: Map<string, string>;
  readonly requests: string[];
  intercept: ((request: JsonRequest) => JsonAnswer | undefined) | undefined;
  /** The line is cut after the next certificate was made. */
  losesNextAnswer: "hang" | "cut" | undefined;
  /** Somebody has to approve each enrolment there. */
  needsApproval: boolean;
}

const API = "/ejbca/ejbca-rest-api/v1";
const END_ENTITY = {
  username: "string",
  password: "string",
  subject_dn: "string",
  subject_alt_name: "string?",
  ca_name: "string",
  certificate_profile_name: "string",
  end_entity_profile_name: "string",
  token: "string",
} as const;
const STATUS = { password: "string", token: "string", status: "string" } as const;
const REQUEST = {
  certificate_request: "string",
  certificate_authority_name: "string",
  username: "string",
  password: "string",
  include_chain: "boolean",
} as const;
const PKCS10 = {
  ...REQUEST,
  certificate_profile_name: "string",
  end_entity_profile_name: "string",
  subject_dn: "string?",
} as const;
const SEARCH = { max_number_of_results: "number", criteria: "list" } as const;
const CRITERION = { property: "string", value: "string", operation: "string" } as const;
const REASONS =
  /^(UNSPECIFIED|KEY_COMPROMISE|CA_COMPROMISE|AFFILIATION_CHANGED|SUPERSEDED|CESSATION_OF_OPERATION|CERTIFICATE_HOLD|PRIVILEGES_WITHDRAWN|AA_COMPROMISE)$/;

export async function startEjbcaSimulator(options: EjbcaOptions): Promise<EjbcaSimulator> {
  const entities = new Map<string, EndEntity>();
  const state = {
    issued: [] as EjbcaSimulator["issued"],
    revoked: new Map<string, string>(),
    requests: [] as string[],
    intercept: undefined as EjbcaSimulator["intercept"],
    losesNextAnswer: undefined,
    needsApproval: false,
  };
  const tls = { ...options.tls, requestCert: true, rejectUnauthorized: false };
  const server = await startJsonServer(async (request) => {
    state.requests.push(`${request.method} ${request.path}`);
    try {
      return state.intercept?.(request) ?? (await route(request));
    } catch (error) {
      if (error instanceof EjbcaRefusal) return failure(error.status, error.message);
      throw error;
    }
  }, tls);
  const simulator: EjbcaSimulator = Object.assign(state, server);
  return simulator;

  async function route(request: JsonRequest): Promise<JsonAnswer> {
    const path = request.path.slice(API.length);
    if (!request.path.startsWith(API)) return failure(404, "no such resource");
    if (!request.isAuthorized) return failure(403, "Not authorized to resource");
    switch (`${request.method} ${path}`) {
      case "GET /certificate/status":
        return { status: 200, body: { status: "OK", version: "1.0", revision: "EJBCA 8.0.0" } };
      case "POST /endentity":
        return addEndEntity(membersOf(request, END_ENTITY));
      case "POST /certificate/certificaterequest":
        return await enrol(membersOf(request, REQUEST));
      case "POST /certificate/pkcs10enroll":
        return await enrolPkcs10(membersOf(request, PKCS10));
      case "POST /certificate/search":
        return search(membersOf(request, SEARCH));
      default:
        return byName(path, request);
    }
  }

  function byName(path: string, request: JsonRequest): JsonAnswer {
    const [, username] = /^\/endentity\/([^/]+)\/setstatus$/.exec(path) ?? [];
    if (username !== undefined && request.method === "POST") {
      return setStatus(decodeURIComponent(username), membersOf(request, STATUS));
    }
    const [, issuer = "", serial = ""] =
      /^\/certificate\/([^/]+)\/([0-9a-fA-F]+)\/revoke$/.exec(path) ?? [];
    if (serial === "" || request.method !== "PUT") return failure(404, "no such resource");
    return revoke(
      decodeURIComponent(issuer),
      serial.toLowerCase(),
      request.query.get("reason") ?? "",
    );
  }

  function addEndEntity(of: Members<typeof END_ENTITY>): JsonAnswer {
    requireProfiles(of);
    if (of.token !== "USERGENERATED") return failure(400, "Invalid token type");
    if (entities.has(of.username)) return failure(409, `User ${of.username} already exists.`);
    readSubject(of.subject_dn);
    readAltNames(of.subject_alt_name ?? "");
    const { password, subject_dn: subject, subject_alt_name: altNames } = of;
    entities.set(of.username, { password, subject, altNames: altNames ?? "", status: "NEW" });
    return { status: 201 };
  }

  function setStatus(username: string, of: Members<typeof STATUS>): JsonAnswer {
    const entity = entities.get(username);
    if (entity === undefined) return failure(404, `User ${username} does not exist`);
    if (of.status !== "NEW") return failure(400, "simulated for NEW only");
    entity.password = of.password;
    entity.status = "NEW";
    return { status: 200 };
  }

  async function enrol(of: Members<typeof REQUEST>): Promise<JsonAnswer> {
    const entity = entities.get(of.username);
    if (entity?.password !== of.password) return failure(403, "Got wrong username or password");
    if (entity.status !== "NEW") return failure(400, `Wrong user status for ${of.username}`);
    if (state.needsApproval)
      return { status: 202, body: { status_code: 202, info_message: "waiting" } };
    const names = { subject: readSubject(entity.subject), altNames: readAltNames(entity.altNames) };
    entity.status = "GENERATED";
    return await issue(of, names);
  }

  async function enrolPkcs10(of: Members<typeof PKCS10>): Promise<JsonAnswer> {
    requireProfiles({ ...of, ca_name: of.certificate_authority_name });
    const { subject, requested } = readRequest(of.certificate_request);
    return await issue(of, {
      subject: of.subject_dn === undefined ? subject : readSubject(of.subject_dn),
      altNames: requested.subjectAltNames,
    });
  }

  async function issue(
    of: Pick<Members<typeof REQUEST>, "username" | "certificate_request">,
    names: Parameters<typeof signForEndEntity>[1],
  ): Promise<JsonAnswer> {
    const request = readRequest(of.certificate_request);
    const der = await signForEndEntity(request, names, options.issuer, options.profile);
    const certificate = parseCertificate(der);
    state.issued.push({ username: of.username, certificate });
    if (state.losesNextAnswer !== undefined) {
      const loss = state.losesNextAnswer;
      state.losesNextAnswer = undefined;
      return loss;
    }
    const serial_number = certificate.serialNumber.toUpperCase();
    const body = { certificate: der.toString("base64"), serial_number, response_format: "DER" };
    return { status: 201, body };
  }

  /** By the end entity's name; the certificates come encoded twice. */
  function search(of: Members<typeof SEARCH>): JsonAnswer {
    const criteria = of.criteria.map((each) => {
      const members = readMembers(each, CRITERION);
      if (typeof members === "string") throw new EjbcaRefusal(400, `Invalid criteria: ${members}`);
      return members;
    });
    const wanted = (name: string) => criteria.find(({ property }) => property === name)?.value;
    const found = state.issued.filter(
      ({ username, certificate }) =>
        username === wanted("QUERY") &&
        (wanted("STATUS") !== "CERT_ACTIVE" || !state.revoked.has(certificate.serialNumber)),
    );
    const certificates = found.slice(0, of.max_number_of_results).map(({ certificate }) => ({
      certificate: Buffer.from(certificate.der.toString("base64")).toString("base64"),
      serial_number: certificate.serialNumber.toUpperCase(),
      response_format: "DER",
    }));
    return { status: 200, body: { certificates, more_results: false } };
  }

  function revoke(issuerDn: string, serialNumber: string, reason: string): JsonAnswer {
    if (!REASONS.test(reason)) return failure(400, "Invalid revocation reason.");
    if (!isSameName(readSubject(issuerDn), options.issuer.certificate.subject)) {
      return failure(404, `CA with DN ${issuerDn} does not exist`);
    }
    const isKnown = state.issued.some(
      ({ certificate }) => certificate.serialNumber === serialNumber,
    );
    if (!isKnown) return failure(404, "Certificate was not found");
    if (state.revoked.has(serialNumber)) return failure(409, "Certificate is already revoked");
    state.revoked.set(serialNumber, reason);
    const body = {
      issuer_dn: issuerDn,
      serial_number: serialNumber,
      revocation_reason: reason,
      message: "Successfully revoked",
      revoked: true,
    };
    return { status: 200, body };
  }
}

function membersOf<Of extends Shape>({ body }: JsonRequest, shape: Of): Members<Of> {
  const members = readMembers(body, shape);
  if (typeof members === "string") throw new EjbcaRefusal(400, `Unrecognized field "${members}"`);
  return members;
}

function requireProfiles(of: {
  readonly ca_name: string;
  readonly certificate_profile_name: string;
  readonly end_entity_profile_name: string;
}): void {
  if (of.ca_name !== "Devices CA") throw new EjbcaRefusal(404, `CA ${of.ca_name} does not exist`);
  const isKnown =
    of.certificate_profile_name === "DEVICE" && of.end_entity_profile_name === "Devices";
  if (!isKnown) throw new EjbcaRefusal(404, "the profile does not exist");
}

function failure(status: number, message: string): JsonAnswer {
  return { status, body: { error_code: status, error_message: message } };
}
