import type { OutboundAnswer, OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import type { Random } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import { formatName } from "@isthmus/shared/x509/name-text";
import { z } from "zod";
import type { IssuanceAnswer } from "../core/ports.ts";
import { ejbcaAltNames, ejbcaSubject } from "./ejbca-names.ts";
import { readingCertificates, readJson, refused, statusError, wordsOf } from "./remote-answer.ts";
import type { RemoteBackEnd, RemoteOrder, RemoteRevocation } from "./remote-order.ts";

export interface EjbcaParts {
  readonly http: OutboundHttp;
  readonly authority: string;
  readonly certificateProfile: string;
  readonly endEntityProfile: string;
  readonly usernamePrefix: string;
  readonly names: "endEntity" | "request";
  readonly random: Random;
}

const API = "/ejbca/ejbca-rest-api/v1";
/** An end entity's password is used once, by ourselves. */
const PASSWORD_OCTETS = 24;
const MAX_FOUND = 10;

const base64Certificate = z.base64().min(1);
const enrolled = z.object({ certificate: base64Certificate });
const found = z.object({
  certificates: z.array(z.object({ certificate: base64Certificate })).max(MAX_FOUND),
});
const revocation = z.object({ revoked: z.boolean() });
const failure = z.object({ error_message: z.string() });

/** EJBCA's names of the reasons of RFC 5280. */
const REASONS: Readonly<Record<RevocationReason, string>> = {
  unspecified: "UNSPECIFIED",
  keyCompromise: "KEY_COMPROMISE",
  cACompromise: "CA_COMPROMISE",
  affiliationChanged: "AFFILIATION_CHANGED",
  superseded: "SUPERSEDED",
  cessationOfOperation: "CESSATION_OF_OPERATION",
  certificateHold: "CERTIFICATE_HOLD",
  removeFromCRL: "REMOVE_FROM_CRL",
  privilegeWithdrawn: "PRIVILEGES_WITHDRAWN",
  aACompromise: "AA_COMPROMISE",
};

/**
 * EJBCA over its REST API. Each certificate has an end entity of its own, named after the planned serial number: after a
 * crash the certificate is found by that name.
 */
export class EjbcaBackEnd implements RemoteBackEnd {
  readonly #parts: EjbcaParts;

  constructor(parts: EjbcaParts) {
    this.#parts = parts;
  }

  async issue(order: RemoteOrder): Promise<IssuanceAnswer> {
    const username = `${this.#parts.usernamePrefix}${order.serialNumber}`;
    const earlier = order.isRepeated ? await this.#find(username, order) : undefined;
    if (earlier !== undefined) return { kind: "issued", certificate: earlier };
    const password = this.#parts.random.bytes(PASSWORD_OCTETS).toString("base64url");
    return this.#parts.names === "request"
      ? await this.#enrolWithRequest(order, username, password)
      : await this.#enrolEndEntity(order, username, password);
  }

  /** The certificate for this key that an order before a crash was answered with. */
  async #find(username: string, { planned, signal }: RemoteOrder): Promise<Buffer | undefined> {
    const answer = await this.#post("/certificate/search", signal, {
      max_number_of_results: MAX_FOUND,
      criteria: [
        { property: "QUERY", value: username, operation: "EQUAL" },
        { property: "CA", value: this.#parts.authority, operation: "EQUAL" },
        { property: "STATUS", value: "CERT_ACTIVE", operation: "EQUAL" },
      ],
    });
    // The search may be switched off: a second certificate is made then.
    if (answer.status === 403 || answer.status === 404) return undefined;
    if (answer.status !== 200) throw statusError(answer, wordsIn(answer));
    const { certificates } = readJson(answer, found);
    return certificates
      .map(({ certificate }) => certificateOfBase64(certificate))
      .find(({ publicKeyInfo }) => publicKeyInfo.equals(planned.publicKeyInfo))?.der;
  }

  async #enrolEndEntity(
    { planned, requestPem, signal, isRepeated }: RemoteOrder,
    username: string,
    password: string,
  ): Promise<IssuanceAnswer> {
    const subject = ejbcaSubject(planned.subject);
    const altNames = ejbcaAltNames(planned.subjectAltNames);
    if (subject === undefined || altNames === undefined) {
      return refused("ca-names", "EJBCA has no word for one of the planned names");
    }
    const added = await this.#post("/endentity", signal, {
      username,
      password,
      subject_dn: subject,
      subject_alt_name: altNames,
      ca_name: this.#parts.authority,
      certificate_profile_name: this.#parts.certificateProfile,
      end_entity_profile_name: this.#parts.endEntityProfile,
      token: "USERGENERATED",
    });
    if (isRepeated && (added.status === 400 || added.status === 409)) {
      await this.#openAgain(username, password, signal);
    } else if (!isSuccess(added)) return refusalOrThrow(added);
    const answer = await this.#post("/certificate/certificaterequest", signal, {
      certificate_request: requestPem,
      certificate_authority_name: this.#parts.authority,
      username,
      password,
      include_chain: false,
    });
    return enrolment(answer);
  }

  /** The end entity of the order before the crash gets a new password and may enrol. */
  async #openAgain(username: string, password: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#post(
      `/endentity/${encodeURIComponent(username)}/setstatus`,
      signal,
      {
        password,
        token: "USERGENERATED",
        status: "NEW",
      },
    );
    if (!isSuccess(answer)) throw statusError(answer, wordsIn(answer));
  }

  async #enrolWithRequest(
    { requestPem, planned, signal }: RemoteOrder,
    username: string,
    password: string,
  ): Promise<IssuanceAnswer> {
    const answer = await this.#post("/certificate/pkcs10enroll", signal, {
      certificate_request: requestPem,
      certificate_profile_name: this.#parts.certificateProfile,
      end_entity_profile_name: this.#parts.endEntityProfile,
      certificate_authority_name: this.#parts.authority,
      username,
      password,
      include_chain: false,
      // Taken by EJBCA 9 and later, for the subject alone; passed over before.
      subject_dn: ejbcaSubject(planned.subject),
    });
    return enrolment(answer);
  }

  async revoke({ certificate, reason, signal }: RemoteRevocation): Promise<void> {
    const issuer = encodeURIComponent(formatName(certificate.issuer));
    const path = `/certificate/${issuer}/${certificate.serialNumber}/revoke?reason=${REASONS[reason]}`;
    const answer = await this.#send("PUT", path, signal);
    // 409: revoked already.
    if (answer.status === 409) return;
    if (answer.status !== 200) throw statusError(answer, wordsIn(answer));
    readJson(answer, revocation);
  }

  async probe(signal: AbortSignal): Promise<readonly Certificate[]> {
    const answer = await this.#send("GET", "/certificate/status", signal);
    if (answer.status !== 200) throw statusError(answer, wordsIn(answer));
    return [];
  }

  #post(path: string, signal: AbortSignal, body: unknown): Promise<OutboundAnswer> {
    return this.#send("POST", path, signal, body);
  }

  #send(
    method: "GET" | "POST" | "PUT",
    path: string,
    signal: AbortSignal,
    body?: unknown,
  ): Promise<OutboundAnswer> {
    return this.#parts.http.send({
      method,
      path: `${API}${path}`,
      headers: { "content-type": "application/json", accept: "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal,
    });
  }

  [Symbol.dispose](): void {
    this.#parts.http[Symbol.dispose]();
  }
}

/** 202: somebody has to approve it there. */
function enrolment(answer: OutboundAnswer): IssuanceAnswer {
  if (answer.status === 202) return { kind: "pending" };
  if (!isSuccess(answer)) return refusalOrThrow(answer);
  const { certificate } = readJson(answer, enrolled);
  return { kind: "issued", certificate: certificateOfBase64(certificate).der };
}

/** 400, 404, 409 and 422 are decisions about this end entity or request. */
function refusalOrThrow(answer: OutboundAnswer): IssuanceAnswer {
  if ([400, 404, 409, 422].includes(answer.status)) {
    return refused("ca-refused", `EJBCA refuses: ${wordsIn(answer)}`);
  }
  throw statusError(answer, wordsIn(answer));
}

/** The DER in base64; the search encodes it twice. */
function certificateOfBase64(text: string): Certificate {
  const bytes = Buffer.from(text, "base64");
  const isTwice = /^MII[A-Za-z0-9+/=\s]+$/.test(bytes.toString("latin1"));
  const der = isTwice ? Buffer.from(bytes.toString("latin1"), "base64") : bytes;
  return readingCertificates(() => parseCertificate(der));
}

function isSuccess({ status }: OutboundAnswer): boolean {
  return status === 200 || status === 201;
}

function wordsIn(answer: OutboundAnswer): string {
  return wordsOf(answer, failure, ({ error_message }) => error_message);
}
