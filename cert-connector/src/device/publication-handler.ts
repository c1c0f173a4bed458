import type { Clock } from "@isthmus/shared/clock";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { PublishedList } from "../core/revocation-ledger.ts";
import { type HttpAnswer, plainAnswer } from "./http-answer.ts";

/** How long caches may keep a list: a revocation is seen by their clients at the latest then. */
const LIST_MAX_AGE_SECONDS = 300;
const CERTIFICATE_MAX_AGE_SECONDS = 86_400;

const LIST_PATH = /^\/crl\/([0-9a-f]{40})\.crl$/;
const CERTIFICATE_PATH = /^\/ca\/([0-9a-f]{40})\.cer$/;
const OCSP_PATH = /^\/ocsp\/([0-9a-f]{40})(?:\/(.*))?$/s;
/** RFC 6960 appendix A.1: a GET carries the request in base64, escaped for a path. */
const MAX_OCSP_PATH_CHARACTERS = 2_048;

export interface PublicationParts {
  readonly issuerKeyId: string;
  /** Issuing CA first, root last; each is published under its key identifier. */
  readonly chain: readonly { readonly keyId: string; readonly certificate: Certificate }[];
  readonly currentList: () => PublishedList | undefined;
  /** Lists that others signed, e.g. the root's own. */
  readonly otherLists: readonly Omit<PublishedList, "number" | "thisUpdate">[];
  readonly ocsp: (
    request: Uint8Array,
  ) => Promise<{ readonly der: Buffer; readonly maxAgeSeconds: number }>;
  readonly clock: Clock;
}

/** What relying parties read: revocation lists, OCSP answers, CA certificates. */
export class PublicationHandler {
  readonly #parts: PublicationParts;

  constructor(parts: PublicationParts) {
    this.#parts = parts;
  }

  /** Undefined if nothing is published under this path. `body` is that of a POST. */
  async answer(path: string, body: Buffer | undefined): Promise<HttpAnswer | undefined> {
    const ocsp = OCSP_PATH.exec(path);
    if (ocsp !== null) return await this.#ocsp(ocsp[1], ocsp[2], body);
    const list = LIST_PATH.exec(path);
    if (list !== null) return this.#list(list[1]);
    const certificate = CERTIFICATE_PATH.exec(path);
    return certificate === null ? undefined : this.#certificate(certificate[1]);
  }

  #list(keyId: string | undefined): HttpAnswer | undefined {
    const { currentList, otherLists } = this.#parts;
    const list = [currentList(), ...otherLists].find((each) => each?.issuerKeyId === keyId);
    if (list === undefined) return undefined;
    const leftSeconds = Math.floor((list.nextUpdate - this.#parts.clock.now()) / 1_000);
    return {
      status: 200,
      contentType: "application/pkix-crl",
      // The list's own bytes: some megabytes would be copied for each of those who fetch it.
      body: Buffer.from(list.der.buffer, list.der.byteOffset, list.der.byteLength),
      maxAgeSeconds: Math.max(0, Math.min(LIST_MAX_AGE_SECONDS, leftSeconds)),
    };
  }

  #certificate(keyId: string | undefined): HttpAnswer | undefined {
    const found = this.#parts.chain.find((each) => each.keyId === keyId);
    return (
      found && {
        status: 200,
        contentType: "application/pkix-cert",
        body: found.certificate.der,
        maxAgeSeconds: CERTIFICATE_MAX_AGE_SECONDS,
      }
    );
  }

  async #ocsp(
    keyId: string | undefined,
    escaped: string | undefined,
    body: Buffer | undefined,
  ): Promise<HttpAnswer | undefined> {
    if (keyId !== this.#parts.issuerKeyId) return undefined;
    const request = body ?? ocspRequestIn(escaped);
    if (request === undefined) {
      return plainAnswer(400, "ocsp-request", "An OCSP request in the body or the path is missing");
    }
    const { der, maxAgeSeconds } = await this.#parts.ocsp(request);
    return { status: 200, contentType: "application/ocsp-response", body: der, maxAgeSeconds };
  }
}

/** Clients differ in what they escape: all of `+`, `/` and `=`, or none. */
function ocspRequestIn(escaped: string | undefined): Buffer | undefined {
  if (!escaped || escaped.length > MAX_OCSP_PATH_CHARACTERS) return undefined;
  try {
    return Buffer.from(decodeURIComponent(escaped), "base64");
  } catch {
    return undefined;
  }
}
