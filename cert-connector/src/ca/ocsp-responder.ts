import type { Clock } from "@isthmus/shared/clock";
import type { Random } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import {
  type CertId,
  isIssuedBy,
  type OcspRequest,
  parseOcspRequest,
} from "@isthmus/shared/x509/ocsp-request";
import {
  type CertStatus,
  encodeOcspFailure,
  encodeOcspResponse,
  type SingleResponse,
} from "@isthmus/shared/x509/ocsp-response";
import type { RevocationLedger } from "../core/revocation-ledger.ts";
import type { AuthorityFiles, KeyedCertificate } from "./authority-folder.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { isResponderDue, issueResponder } from "./responder-certificate.ts";

/** An answer without nonce may be kept by caches this long; a revocation shows at the latest then. */
const ANSWER_VALIDITY_MS = 300_000;
/** So long a signed answer is given again to whoever asks without a nonce; then a good part of its validity is left. */
const ANSWER_KEPT_MS = ANSWER_VALIDITY_MS / 2;
/** Our own limit: each certificate in a request is a look into the ledger. */
const MAX_QUESTIONS = 8;

export interface OcspAnswer {
  readonly der: Buffer;
  /** How long it may be cached; 0 where a nonce made it an answer to one. */
  readonly maxAgeSeconds: number;
}

interface SignedAnswer extends OcspAnswer {
  readonly isAboutKnown: boolean;
}

export interface OcspResponderParts {
  readonly files: AuthorityFiles;
  readonly issuerKeyId: string;
  /** Whether a serial number is one of the SCEP RA's. */
  readonly isRegistration: (serialNumber: string) => boolean;
  readonly ledger: Pick<RevocationLedger, "statusOf">;
  /** Of the revocation list in force: it grows with each revocation, here or at another replica. */
  readonly listNumber: () => number | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** A responder certificate was made; awaited before it is used, so that it is on record. */
  readonly onResponder: (certificate: Certificate) => Promise<void>;
}

/**
 * Answers OCSP requests (RFC 6960, nonces of RFC 9654) from the ledger, signed on demand by a delegated responder. What
 * the ledger does not know is `unknown`, never `good`. An answer without nonce is signed once in a while and given again,
 * until something is revoked.
 */
export class OcspResponder {
  readonly #parts: OcspResponderParts;
  #responder: KeyedCertificate | undefined;
  #renewing: Promise<KeyedCertificate> | undefined;
  readonly #kept = new KeptAnswers();

  constructor(parts: OcspResponderParts) {
    this.#parts = parts;
  }

  /** End of the responder certificate in use, ms; undefined before the first one. */
  get validUntil(): number | undefined {
    return this.#responder?.certificate.notAfter;
  }

  /** Has a responder certificate at hand. */
  async start(): Promise<void> {
    await this.#current();
  }

  /** The answer to a request, DER; bytes that are no request get `malformedRequest`. */
  async answer(request: Uint8Array): Promise<OcspAnswer> {
    const parsed = parsedRequest(request);
    if (parsed === undefined || parsed.certIds.length > MAX_QUESTIONS) {
      return failure("malformedRequest");
    }
    const { issuing } = this.#parts.files;
    if (!parsed.certIds.some((certId) => isIssuedBy(certId, issuing.certificate))) {
      return failure("unauthorized");
    }
    return await this.#answerParsed(parsed);
  }

  async #answerParsed(request: OcspRequest): Promise<OcspAnswer> {
    const [certId, ...others] = request.certIds;
    if (request.nonce !== undefined || certId === undefined || others.length > 0) {
      return await this.#signed(request);
    }
    const { clock, listNumber } = this.#parts;
    const now = clock.now();
    const revision = listNumber();
    const certificate = certId.der.toString("latin1");
    const kept = this.#kept.find(certificate, revision, now);
    if (kept !== undefined) {
      return { der: kept.der, maxAgeSeconds: Math.floor((kept.nextUpdate - now) / 1_000) };
    }
    const answer = await this.#signed(request);
    // Serial numbers that nobody has are endless: what is not known here is not kept.
    if (answer.isAboutKnown) {
      const times = { nextUpdate: now + ANSWER_VALIDITY_MS, keptUntil: now + ANSWER_KEPT_MS };
      this.#kept.keep(
        certificate,
        { der: answer.der, ...times },
        { revision, present: listNumber() },
      );
    }
    return answer;
  }

  async #signed({ certIds, nonce }: OcspRequest): Promise<SignedAnswer> {
    const now = this.#parts.clock.now();
    const { certificate, key } = await this.#current();
    const responses = await Promise.all(certIds.map((certId) => this.#single(certId, now)));
    const der = await encodeOcspResponse({
      responses,
      producedAt: now,
      nonce,
      responder: { key, publicKeyInfo: certificate.publicKeyInfo, certificate: certificate.der },
    });
    const isCacheable = nonce === undefined;
    const isAboutKnown = responses.every(({ certStatus }) => certStatus.status !== "unknown");
    return { der, maxAgeSeconds: isCacheable ? ANSWER_VALIDITY_MS / 1_000 : 0, isAboutKnown };
  }

  async #single(certId: CertId, now: number): Promise<SingleResponse> {
    const certStatus = await this.#statusOf(certId);
    return { certId, certStatus, thisUpdate: now, nextUpdate: now + ANSWER_VALIDITY_MS };
  }

  async #statusOf(certId: CertId): Promise<CertStatus> {
    const { files, ledger, issuerKeyId, isRegistration } = this.#parts;
    const { serialNumber } = certId;
    if (!isIssuedBy(certId, files.issuing.certificate)) return { status: "unknown" };
    // Certificates of the RA are not those of devices, and not in the ledger of them.
    if (isRegistration(serialNumber)) return { status: "good" };
    const status = await ledger.statusOf({ issuerKeyId, serialNumber });
    if (status.kind !== "revoked") return { status: status.kind };
    return { status: "revoked", revokedAt: status.revokedAt, reason: status.reason };
  }

  async #current(): Promise<KeyedCertificate> {
    const now = this.#parts.clock.now();
    if (this.#responder !== undefined && !isResponderDue(this.#responder, now)) {
      return this.#responder;
    }
    this.#renewing ??= this.#renew(now).finally(() => {
      this.#renewing = undefined;
    });
    return await this.#renewing;
  }

  async #renew(now: number): Promise<KeyedCertificate> {
    const { files, random, onResponder } = this.#parts;
    const responder = await issueResponder(files.issuing, now, random);
    await onResponder(responder.certificate);
    this.#responder = responder;
    return responder;
  }
}

function parsedRequest(request: Uint8Array): OcspRequest | undefined {
  try {
    return parseOcspRequest(request);
  } catch {
    return undefined;
  }
}

function failure(status: "malformedRequest" | "unauthorized"): OcspAnswer {
  return { der: encodeOcspFailure(status), maxAgeSeconds: 0 };
}
