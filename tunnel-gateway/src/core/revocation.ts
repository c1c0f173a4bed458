import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { CertificateList } from "@isthmus/shared/x509/certificate-list";
import { issuerIdOf, type PeerCertificate, type TrustAnchor } from "./identity.ts";
import type { Refusal } from "./refusal.ts";

/**
 * How old what we know of revocations may be. Age counts from the last moment at which a source confirmed it and it was
 * still within its own validity: an unreachable source and a source that serves an expired list age alike.
 */
export interface RevocationFreshness {
  /** Up to here nobody is told. */
  readonly softAgeMs: number;
  /** Up to here the gateway serves and warns; beyond, new connections are refused. */
  readonly hardAgeMs: number;
}

/** A verified list. `confirmedAt`: when a source last served it. */
export interface KnownList {
  readonly list: CertificateList;
  readonly confirmedAt: number;
}

/** A verified OCSP answer about one certificate. */
export interface KnownAnswer {
  readonly status: "good" | "revoked" | "unknown";
  /** ms since the epoch. */
  readonly nextUpdate: number | undefined;
  readonly confirmedAt: number;
}

export type AgeOfRevocation = "fresh" | "stale" | "outdated" | "missing";

export type RevocationVerdict =
  | { readonly status: "good" | "unchecked" | "stale"; readonly refusal?: undefined }
  | { readonly status: "refused"; readonly refusal: Refusal };

/** Our own: answers kept, so that a client with many certificates cannot fill memory. */
const MAX_ANSWERS = 100_000;

/** What is known of revocations, by issuer and by certificate. */
export class RevocationKnowledge {
  readonly #lists = new Map<string, KnownList>();
  readonly #answers = new Map<string, KnownAnswer>();

  listOf(issuerId: string): KnownList | undefined {
    return this.#lists.get(issuerId);
  }

  putList(issuer: Certificate, known: KnownList): void {
    this.#lists.set(issuerIdOf(issuer), known);
  }

  answerOn(certificateKey: string): KnownAnswer | undefined {
    return this.#answers.get(certificateKey);
  }

  /** Keeps an answer; the oldest one goes when there are too many. */
  putAnswer(certificateKey: string, answer: KnownAnswer): void {
    this.#answers.delete(certificateKey);
    this.#answers.set(certificateKey, answer);
    if (this.#answers.size <= MAX_ANSWERS) return;
    const [oldest] = this.#answers.keys();
    if (oldest !== undefined) this.#answers.delete(oldest);
  }

  /** Forgets answers that say good, so that a responder is asked again; what is revoked stays so. */
  forgetGoodAnswers(): void {
    for (const [key, { status }] of this.#answers) if (status === "good") this.#answers.delete(key);
  }

  /** Keeps only lists of these issuers and answers about their certificates: after trust anchors changed. */
  retain(issuerIds: ReadonlySet<string>): void {
    for (const id of this.#lists.keys()) if (!issuerIds.has(id)) this.#lists.delete(id);
    for (const key of this.#answers.keys()) {
      if (!issuerIds.has(key.slice(0, key.indexOf(":")))) this.#answers.delete(key);
    }
  }
}

/** How old a confirmed statement is. `validUntil` is its own end of validity. */
export function ageOf(
  known: { readonly confirmedAt: number; readonly validUntil: number | undefined } | undefined,
  freshness: RevocationFreshness,
  now: number,
): AgeOfRevocation {
  if (!known) return "missing";
  const age = now - Math.min(known.confirmedAt, known.validUntil ?? known.confirmedAt);
  if (age <= freshness.softAgeMs) return "fresh";
  return age <= freshness.hardAgeMs ? "stale" : "outdated";
}

/** Age of a list; a list without nextUpdate is valid as long as its source serves it. */
export function ageOfList(
  known: KnownList | undefined,
  freshness: RevocationFreshness,
  now: number,
): AgeOfRevocation {
  const dates = known && { confirmedAt: known.confirmedAt, validUntil: known.list.nextUpdate };
  return ageOf(dates, freshness, now);
}

/** Age of an answer. */
export function ageOfAnswer(
  known: KnownAnswer | undefined,
  freshness: RevocationFreshness,
  now: number,
): AgeOfRevocation {
  const dates = known && { confirmedAt: known.confirmedAt, validUntil: known.nextUpdate };
  return ageOf(dates, freshness, now);
}

/** Whether a responder has to be asked before this certificate can be judged. */
export function needsAnswer(
  certificate: PeerCertificate,
  anchor: TrustAnchor,
  knowledge: RevocationKnowledge,
  freshness: RevocationFreshness,
  now: number,
): boolean {
  if (!anchor.revocation.hasOcsp) return false;
  return ageOfAnswer(knowledge.answerOn(certificate.key), freshness, now) !== "fresh";
}

/**
 * Judges a certificate by every source its anchor has: revoked anywhere is refused whatever the age; otherwise the
 * youngest statement counts. An anchor without a source is not checked, which a health check says.
 */
export function judgeRevocation(
  certificate: PeerCertificate,
  anchor: TrustAnchor,
  knowledge: RevocationKnowledge,
  freshness: RevocationFreshness,
  now: number,
): RevocationVerdict {
  const { hasLists, hasOcsp } = anchor.revocation;
  if (!hasLists && !hasOcsp) return { status: "unchecked" };
  const list = hasLists ? knowledge.listOf(certificate.issuerId) : undefined;
  const answer = hasOcsp ? knowledge.answerOn(certificate.key) : undefined;
  const isRevoked =
    answer?.status === "revoked" || list?.list.revoked.has(certificate.serialNumber) === true;
  if (isRevoked) return refuse("certificate-revoked", anchor, "the certificate is revoked");
  if (answer?.status === "unknown") {
    const message = "the certificate's issuer does not know it";
    return refuse("certificate-unknown", anchor, message);
  }
  const ages = [ageOfList(list, freshness, now), ageOfAnswer(answer, freshness, now)];
  if (ages.includes("fresh")) return { status: "good" };
  if (ages.includes("stale")) return { status: "stale" };
  return ages.includes("outdated")
    ? refuse("revocation-outdated", anchor, "what is known of revocations is older than allowed")
    : refuse("revocation-unknown", anchor, "nothing is known yet of revocations by this issuer");
}

function refuse(code: Refusal["code"], anchor: TrustAnchor, message: string): RevocationVerdict {
  const rule = `revocation/${anchor.name}`;
  return { status: "refused", refusal: { code, rule, message } };
}
