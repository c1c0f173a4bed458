import { hash } from "node:crypto";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, ProtocolError, RefusalError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { formatName } from "@isthmus/shared/x509/name-text";
import type { AuthorityTold, TellAuthority } from "./authority-revocation.ts";
import { deviationsFromPlan } from "./certificate-comparison.ts";
import type { EnrolmentOutcome } from "./enrolment-request.ts";
import type { IssuedRecord, Ledger, UnfinishedIntent } from "./ledger.ts";
import type {
  CertificateAuthority,
  FailureRecorder,
  IssuanceAnswer,
  IssuanceOrder,
} from "./ports.ts";

/** After this another replica, or this one after a crash, asks again. Longer than any authority's own timeout. */
const ASK_LEASE_MS = 60_000;

const OUTCOMES: Readonly<Record<AuthorityTold, string>> = {
  revoked: "it was revoked there",
  later: "it is revoked there as soon as that can be done",
  "by-hand": "it has to be revoked there by hand",
};

export interface RemoteIssuanceParts {
  readonly ledger: Pick<
    Ledger,
    "beginAsking" | "endAsking" | "findCertificates" | "recordIssued" | "recordRefused"
  >;
  readonly recordFailure: FailureRecorder;
  readonly tellAuthority: TellAuthority;
  readonly clock: Clock;
}

/**
 * Fulfils an intent at a remote authority. One question at a time for each intent; while there is no answer the request
 * is pending, and the device polls. A certificate that goes beyond the plan is revoked at the authority and refused.
 */
export class RemoteIssuance {
  readonly #parts: RemoteIssuanceParts;

  constructor(parts: RemoteIssuanceParts) {
    this.#parts = parts;
  }

  async ask(intent: UnfinishedIntent, authority: CertificateAuthority): Promise<EnrolmentOutcome> {
    const { ledger, clock } = this.#parts;
    const { serialNumber } = intent;
    if (authority.obstacle() !== undefined) return { kind: "pending" };
    const at = clock.now();
    const asking = await ledger.beginAsking({ serialNumber, at, until: at + ASK_LEASE_MS });
    if (asking.kind === "busy") return { kind: "pending" };
    const { isRepeated, reference } = asking;
    let answer: IssuanceAnswer;
    try {
      answer = await authority.issue({ ...intent, isRepeated, reference });
    } catch (error) {
      await ledger.endAsking({ serialNumber, reference });
      return await this.#postponed(intent, error, isRepeated);
    }
    return await this.#conclude(intent, authority, answer, asking);
  }

  async #conclude(
    intent: UnfinishedIntent,
    authority: CertificateAuthority,
    answer: IssuanceAnswer,
    { reference, isRepeated }: Pick<IssuanceOrder, "reference" | "isRepeated">,
  ): Promise<EnrolmentOutcome> {
    const { serialNumber } = intent;
    switch (answer.kind) {
      case "issued":
        return await this.#accept(intent, authority, answer.certificate, isRepeated);
      case "pending":
        await this.#parts.ledger.endAsking({
          serialNumber,
          reference: answer.reference ?? reference,
        });
        return { kind: "pending" };
      case "refused":
        await this.#parts.ledger.recordRefused({ serialNumber, at: this.#parts.clock.now() });
        throw new RefusalError(answer.code, `authority.${authority.name}`, answer.message);
    }
  }

  /** An authority that cannot be reached is no reason to fail a device that can wait; said once, not at each poll. */
  async #postponed(
    { transactionId }: UnfinishedIntent,
    error: unknown,
    isRepeated: boolean,
  ): Promise<EnrolmentOutcome> {
    if (!(error instanceof ConnectorError && error.isRetryable)) throw error;
    if (!isRepeated) {
      await this.#parts.recordFailure({ transactionId, profileId: undefined, error });
    }
    return { kind: "pending" };
  }

  async #accept(
    intent: UnfinishedIntent,
    authority: CertificateAuthority,
    der: Buffer,
    wasAskedAgain: boolean,
  ): Promise<EnrolmentOutcome> {
    const issuer = authority.issuer();
    const made = readCertificate(der, authority.name);
    const deviations = deviationsFromPlan(intent.tbs, made, issuer);
    if (deviations.length > 0) return await this.#reject(intent, authority, made, deviations);
    const certificate = await this.#record({
      serialNumber: intent.serialNumber,
      certificate: der,
      thumbprint: hash("sha256", der, "hex"),
      actual: {
        serialNumber: made.serialNumber,
        issuerKeyId: issuer.keyId,
        issuer: formatName(made.issuer),
        notBefore: made.notBefore,
        notAfter: made.notAfter,
      },
      wasAskedAgain,
      at: this.#parts.clock.now(),
    });
    return { kind: "issued", certificate: Buffer.from(certificate), issuerKeyId: issuer.keyId };
  }

  /** An authority that answers with the certificate of an earlier order would be asked in vain for ever. */
  async #record(issued: IssuedRecord): Promise<Uint8Array> {
    const { ledger } = this.#parts;
    try {
      return await ledger.recordIssued(issued);
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      await ledger.recordRefused({ serialNumber: issued.serialNumber, at: issued.at });
      throw error;
    }
  }

  /**
   * What is not in the ledger must not be valid anywhere: that is ordered before the authority is told of it. A number that
   * is in the ledger is another device's, whatever certificate stands around it here: that one stays.
   */
  async #reject(
    { serialNumber }: UnfinishedIntent,
    authority: CertificateAuthority,
    made: Certificate,
    deviations: readonly string[],
  ): Promise<never> {
    const { ledger, clock, tellAuthority } = this.#parts;
    const of = { authority: authority.name, serialNumber: made.serialNumber };
    const isAnothers = (await ledger.findCertificates(made.serialNumber)).length > 0;
    const { der: certificate, notAfter } = made;
    const revoke = { ...of, certificate, notAfter, reason: "cessationOfOperation" } as const;
    await ledger.recordRefused({
      serialNumber,
      ...(!isAnothers && { revoke }),
      at: clock.now(),
    });
    const outcome = isAnothers
      ? "its number is of another order; nothing is revoked"
      : OUTCOMES[await tellAuthority(of)];
    throw new RefusalError(
      "ca-mismatch",
      `authority.${authority.name}`,
      `Certificate ${made.serialNumber} of ${authority.name} is not what the profile asks for: ${deviations.join("; ")}; ${outcome}`,
    );
  }
}

function readCertificate(der: Buffer, authority: string): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw new ConnectorError(
      "ca-answer",
      `${authority} answered with something that is no certificate: ${cause.message}`,
      { cause, isRetryable: true },
    );
  }
}
