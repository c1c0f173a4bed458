import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf, ProtocolError } from "@isthmus/shared/errors";
import type { Profile } from "../core/profile.ts";
import {
  type Capability,
  formatCapabilities,
  parseScepQuery,
  type ScepOperation,
} from "../protocol/scep-request.ts";
import { encodeNextCaCertificates } from "../protocol/scep-writer.ts";
import { encodeCertificatesOnly } from "../protocol/signed-data.ts";
import { type HttpAnswer, plainAnswer } from "./http-answer.ts";
import { BusyError } from "./issuance-gate.ts";
import type { ProfileAuthority, ProfileAuthorityOf } from "./profile-authority.ts";
import { RecentVisits } from "./recent-visits.ts";
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

/** A CA that cannot be reached is asked again by its connector within this time. */
const UNAVAILABLE_RETRY_SECONDS = 60;

/** The last segments under which clients of NDES expect it; Cisco IOS adds its own to whatever it is given. */
const NDES_PATH = /^\/certsrv\/mscep\/mscep\.dll(?:\/pkiclient\.exe)?\/?$/i;
const PROFILE_PATH = /^\/scep\/([A-Za-z0-9._-]{1,64})(?:(?:\/cgi-bin)?\/pkiclient\.exe)?\/?$/i;

export interface ScepHandlerParts {
  readonly operations: ScepOperations;
  readonly authorityOf: ProfileAuthorityOf;
  readonly clock: Clock;
  /** By the last segment of its address; `ndes` for the profile under NDES's own path. */
  readonly profileAt: (path: { readonly segment: string } | "ndes") => Profile | undefined;
}

/** SCEP over HTTP (RFC 8894 section 4): which profile, which operation, what it is answered with. */
export class ScepHandler {
  readonly #parts: ScepHandlerParts;
  readonly #visits: RecentVisits;

  constructor(parts: ScepHandlerParts) {
    this.#parts = parts;
    this.#visits = new RecentVisits(parts.clock);
  }

  /** The profile under this path; undefined if it is none of SCEP. */
  profileAt(path: string): Profile | undefined {
    if (NDES_PATH.test(path)) return this.#parts.profileAt("ndes");
    const segment = PROFILE_PATH.exec(path)?.[1];
    return segment === undefined ? undefined : this.#parts.profileAt({ segment });
  }

  /** `body` is that of a POST; `address` the client's, for the trace. */
  async answer(
    profile: Profile,
    query: string,
    body: Buffer | undefined,
    address = "",
  ): Promise<HttpAnswer> {
    try {
      return await this.#answerTo(parseScepQuery(query), profile, body, address);
    } catch (error) {
      // Nothing that parses: there is no transaction to answer in.
      if (error instanceof ProtocolError) return plainAnswer(400, codeOf(error), error.message);
      if (error instanceof BusyError) return unavailable(error, error.retryAfterSeconds);
      if (error instanceof ConnectorError && error.isRetryable) {
        return unavailable(error, UNAVAILABLE_RETRY_SECONDS);
      }
      throw error;
    }
  }

  async #answerTo(
    operation: ScepOperation,
    profile: Profile,
    body: Buffer | undefined,
    address: string,
  ): Promise<HttpAnswer> {
    switch (operation.operation) {
      case "GetCACaps":
        this.#visits.note(address, "capabilitiesAt");
        return this.#capabilities(profile);
      case "GetCACert":
        this.#visits.note(address, "certificatesAt");
        return caCertificates(profile, this.#parts.authorityOf(profile));
      case "GetNextCACert":
        return await this.#nextCertificates(profile);
      case "PKIOperation":
        return await this.#pkiOperation(profile, body ?? operation.message, address);
    }
  }

  #capabilities(profile: Profile): HttpAnswer {
    const hasNextCa = this.#parts.authorityOf(profile).nextChain.length > 0;
    const offered = capabilitiesOf(profile, hasNextCa);
    return answer("text/plain", Buffer.from(formatCapabilities(offered)));
  }

  async #nextCertificates(profile: Profile): Promise<HttpAnswer> {
    const { nextChain, registration } = this.#parts.authorityOf(profile);
    if (nextChain.length === 0) {
      return plainAnswer(404, "scep-no-next-ca", "No CA is to follow the present one");
    }
    const der = nextChain.map((certificate) => certificate.der);
    const { responder } = registration.current();
    const body = await encodeNextCaCertificates(der, responder);
    return answer("application/x-x509-next-ca-cert", body);
  }

  async #pkiOperation(
    profile: Profile,
    message: Buffer | undefined,
    address: string,
  ): Promise<HttpAnswer> {
    if (message === undefined || message.length === 0) {
      throw new ProtocolError("scep-message", "SCEP request: a PKIOperation without message");
    }
    const { operations } = this.#parts;
    const earlier = this.#visits.before(address);
    return answer("application/x-pki-message", await operations.answer(message, profile, earlier));
  }
}

/** What a profile's address offers. */
export function capabilitiesOf(profile: Profile, hasNextCa: boolean): readonly Capability[] {
  return [
    ...CAPABILITIES,
    ...(profile.legacyAlgorithms ? LEGACY_CAPABILITIES : []),
    ...(hasNextCa ? (["GetNextCACert"] as const) : []),
  ];
}

/**
 * The RA's certificate first, then the issuing CA's and its chain; or the issuing CA's alone where it is its own RA. Apple
 * takes the second content type to promise an RA and looks for one by its key usages: it is sent only where there is one.
 */
function caCertificates(profile: Profile, authority: ProfileAuthority): HttpAnswer {
  const { certificate } = authority.registration.current().responder;
  if (profile.caCertificates === "single") {
    return answer("application/x-x509-ca-cert", certificate.der);
  }
  const all = [certificate, ...authority.chain()].map(({ der }) => der);
  return answer("application/x-x509-ca-ra-cert", encodeCertificatesOnly(all));
}

function unavailable(error: ConnectorError, retryAfterSeconds: number): HttpAnswer {
  return { ...plainAnswer(503, error.code, error.message), retryAfterSeconds };
}

function answer(contentType: string, body: Buffer): HttpAnswer {
  return { status: 200, contentType, body };
}
