import { createHmac, hash, randomBytes, timingSafeEqual } from "node:crypto";
import {
  type CertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { formatName, parseNameText } from "@isthmus/shared/x509/name-text";

const CHALLENGE_LIFETIME_MS = 3_600_000;

/** What a SCEP profile of Intune asks of one device's request. */
export interface AssignedProfile {
  /** RFC 4514. */
  readonly subject: string;
  readonly subjectAltNames: readonly { readonly type: string; readonly value: string }[];
  readonly minRsaBits?: number;
}

/**
 * Challenges and what they stand for. A challenge is opaque to everybody else: an id under a key of the service. What a
 * request looks like is checked against the profile that the challenge was made for, with the codes of the published
 * contract.
 */
export class ScepRequests {
  readonly #key = randomBytes(32);
  readonly #assigned = new Map<string, AssignedProfile & { readonly madeAt: number }>();
  /** By transaction: SHA-256 of the request that was found good. */
  readonly #validated = new Map<string, string>();
  now: () => number = () => Date.now();

  /** A challenge as a device gets it with its profile. */
  assign(profile: AssignedProfile): string {
    const id = randomBytes(12).toString("hex");
    this.#assigned.set(id, { ...profile, madeAt: this.now() });
    return Buffer.from(`${id}.${this.#seal(id)}`).toString("base64");
  }

  /** The profile is no longer for this device. */
  withdraw(challenge: string): void {
    this.#assigned.delete(Buffer.from(challenge, "base64").toString().split(".")[0] ?? "");
  }

  /** The code of the answer. */
  validate({ transactionId, certificateRequest }: Readonly<Record<string, string>>): string {
    const request = readRequest(certificateRequest ?? "");
    if (request === undefined) return "CertificateRequestDecodingFailed";
    if (!request.verifySignature()) return "SignatureValidationFailed";
    const code = this.#codeOf(request);
    if (code === "Success") {
      this.#validated.set(String(transactionId), hash("sha256", request.der, "hex"));
    }
    return code;
  }

  /** Whether this very request was found good before. */
  isValidated({ transactionId, certificateRequest }: Readonly<Record<string, string>>): boolean {
    const digest = hash("sha256", Buffer.from(certificateRequest ?? "", "base64"), "hex");
    return this.#validated.get(String(transactionId)) === digest;
  }

  #codeOf(request: CertificationRequest): string {
    const { challengePassword } = request;
    if (challengePassword === undefined || challengePassword === "") {
      return "ChallengePasswordMissing";
    }
    if (!/^[A-Za-z0-9+/]+=*$/.test(challengePassword)) return "ChallengeDecodingError";
    const [id, seal, ...rest] = Buffer.from(challengePassword, "base64").toString().split(".");
    if (id === undefined || seal === undefined || rest.length > 0) {
      return "ChallengeDeserializationError";
    }
    if (!isSame(seal, this.#seal(id))) return "ChallengeDecryptionError";
    const assigned = this.#assigned.get(id);
    if (assigned === undefined) return "ScepProfileNoLongerTargetedToTheClient";
    if (this.now() - assigned.madeAt > CHALLENGE_LIFETIME_MS) return "ChallengeExpired";
    return codeOfContent(request, assigned);
  }

  #seal(id: string): string {
    return createHmac("sha256", this.#key).update(id).digest("hex");
  }
}

function codeOfContent(request: CertificationRequest, assigned: AssignedProfile): string {
  const { subject, requested } = request;
  const expected = formatName(parseNameText(assigned.subject));
  if (subject.attributes.length === 0 && expected !== "") return "SubjectNameMissing";
  if (formatName(subject) !== expected) return "SubjectNameMismatch";
  const names = requested.subjectAltNames.map(({ type, value }) => `${type}:${value}`);
  const wanted = assigned.subjectAltNames.map(({ type, value }) => `${type}:${value}`);
  if (wanted.length > 0 && names.length === 0) return "SubjectAltNameMissing";
  if (names.sort().join("\n") !== wanted.sort().join("\n")) return "SubjectAltNameMismatch";
  const { asymmetricKeyDetails } = request.publicKey();
  const bits = asymmetricKeyDetails?.modulusLength ?? 0;
  return bits < (assigned.minRsaBits ?? 2_048) ? "KeyLengthMismatch" : "Success";
}

function readRequest(base64: string): CertificationRequest | undefined {
  const der = Buffer.from(base64, "base64");
  if (der.toString("base64") !== base64) return undefined;
  try {
    return parseCertificationRequest(der);
  } catch {
    return undefined;
  }
}

function isSame(left: string, right: string): boolean {
  return timingSafeEqual(hash("sha256", left, "buffer"), hash("sha256", right, "buffer"));
}
