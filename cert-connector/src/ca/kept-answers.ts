/** Our own limit, about 1.5 KiB each. Over it the oldest goes. */
const MAX_ANSWERS = 8_192;

/** A signed answer and until when it may be given again, ms. */
export interface KeptAnswer {
  readonly der: Buffer;
  readonly nextUpdate: number;
  readonly keptUntil: number;
}

/**
 * Signed OCSP answers that may be given again (RFC 5019), by the certificate asked for. All of them are of one revision
 * of what is revoked: with the next one they are forgotten, and an answer that was begun before is not kept.
 */
export class KeptAnswers {
  readonly #byCertificate = new Map<string, KeptAnswer>();
  #revision: number | undefined;

  find(certificate: string, revision: number | undefined, now: number): KeptAnswer | undefined {
    if (revision !== this.#revision) return undefined;
    const kept = this.#byCertificate.get(certificate);
    return kept !== undefined && now < kept.keptUntil ? kept : undefined;
  }

  /** `revision`: the one in force when the answer was begun; `present`: the one in force now. */
  keep(
    certificate: string,
    answer: KeptAnswer,
    { revision, present }: Readonly<Record<"revision" | "present", number | undefined>>,
  ): void {
    if (revision !== present) return;
    if (present !== this.#revision) this.#byCertificate.clear();
    this.#revision = present;
    this.#byCertificate.delete(certificate);
    this.#byCertificate.set(certificate, answer);
    if (this.#byCertificate.size <= MAX_ANSWERS) return;
    const [oldest] = this.#byCertificate.keys();
    if (oldest !== undefined) this.#byCertificate.delete(oldest);
  }
}
