import { codeOf, ProtocolError } from "@isthmus/shared/errors";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { Profile } from "../core/profile.ts";
import {
  type Capability,
  formatCapabilities,
  parseScepQuery,
  type ScepOperation,
} from "../protocol/scep-request.ts";
import { encodeNextCaCertificates, type ScepResponder } from "../protocol/scep-writer.ts";
import { encodeCertificatesOnly } from "../protocol/signed-data.ts";
import { type HttpAnswer, plainAnswer } from "./http-answer.ts";
import type { ScepOperations } from "./scep-operations.ts";

/** What a profile's address offers to every client. `Update` is what drafts called `Renewal`. */
const CAPABILITIES: readonly Capability[] = [
  "AES",
  "POSTPKIOperation",
  "Renewal",
  "SHA-256",
  "SHA-512",
  "SCEPStandard",
  "Update",
];
const LEGACY_CAPABILITIES: readonly Capability[] = ["DES3", "SHA-1"];

/** The last segments under which clients of NDES expect it. */
const NDES_PATH = /^\/certsrv\/mscep\/mscep\.dll(?:\/pkiclient\.exe)?\/?$/i;
const PROFILE_PATH = /^\/scep\/([A-Za-z0-9._-]{1,64})(?:\/pkiclient\.exe)?\/?$/i;

export interface ScepHandlerParts {
  readonly operations: ScepOperations;
  readonly ra: ScepResponder;
  /** Issuing CA first, root last. */
  readonly chain: readonly Certificate[];
  /** The CA that will follow, and its chain; empty until it is known. */
  readonly nextChain: readonly Certificate[];
  /** By the last segment of its address; `ndes` for the profile under NDES's own path. */
  readonly profileAt: (path: { readonly segment: string } | "ndes") => Profile | undefined;
}

/** SCEP over HTTP (RFC 8894 section 4): which profile, which operation, what it is answered with. */
export class ScepHandler {
  readonly #parts: ScepHandlerParts;
  readonly #caCertificates: Buffer;

  constructor(parts: ScepHandlerParts) {
    this.#parts = parts;
    const { ra, chain } = parts;
    this.#caCertificates = encodeCertificatesOnly([ra.certificate, ...chain].map(({ der }) => der));
  }

  /** The profile under this path; undefined if it is none of SCEP. */
  profileAt(path: string): Profile | undefined {
    if (NDES_PATH.test(path)) return this.#parts.profileAt("ndes");
    const segment = PROFILE_PATH.exec(path)?.[1];
    return segment === undefined ? undefined : this.#parts.profileAt({ segment });
  }

  /** `body` is that of a POST. */
  async answer(profile: Profile, query: string, body: Buffer | undefined): Promise<HttpAnswer> {
    try {
      return await this.#answerTo(parseScepQuery(query), profile, body);
    } catch (error) {
      // Nothing that parses: there is no transaction to answer in.
      if (error instanceof ProtocolError) return plainAnswer(400, codeOf(error), error.message);
      throw error;
    }
  }

  async #answerTo(
    operation: ScepOperation,
    profile: Profile,
    body: Buffer | undefined,
  ): Promise<HttpAnswer> {
    switch (operation.operation) {
      case "GetCACaps":
        return this.#capabilities(profile);
      case "GetCACert":
        return answer("application/x-x509-ca-ra-cert", this.#caCertificates);
      case "GetNextCACert":
        return await this.#nextCertificates();
      case "PKIOperation":
        return await this.#pkiOperation(profile, body ?? operation.message);
    }
  }

  #capabilities(profile: Profile): HttpAnswer {
    const all: readonly Capability[] = [
      ...CAPABILITIES,
      ...(profile.legacyAlgorithms ? LEGACY_CAPABILITIES : []),
      ...(this.#parts.nextChain.length > 0 ? (["GetNextCACert"] as const) : []),
    ];
    return answer("text/plain", Buffer.from(formatCapabilities(all)));
  }

  async #nextCertificates(): Promise<HttpAnswer> {
    const { nextChain, ra } = this.#parts;
    if (nextChain.length === 0) {
      return plainAnswer(404, "scep-no-next-ca", "No CA is to follow the present one");
    }
    const der = nextChain.map((certificate) => certificate.der);
    return answer("application/x-x509-next-ca-cert", await encodeNextCaCertificates(der, ra));
  }

  async #pkiOperation(profile: Profile, message: Buffer | undefined): Promise<HttpAnswer> {
    if (message === undefined || message.length === 0) {
      throw new ProtocolError("scep-message", "SCEP request: a PKIOperation without message");
    }
    const { operations } = this.#parts;
    return answer("application/x-pki-message", await operations.answer(message, profile));
  }
}

function answer(contentType: string, body: Buffer): HttpAnswer {
  return { status: 200, contentType, body };
}
