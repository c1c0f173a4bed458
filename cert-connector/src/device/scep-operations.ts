import type { Clock } from "@isthmus/shared/clock";
import { ProtocolError, RefusalError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { isSameName } from "@isthmus/shared/x509/name";
import type { EnrolmentOutcome, EnrolmentProof } from "../core/enrolment-request.ts";
import type { EnrolmentService } from "../core/enrolment-service.ts";
import { MessageTrace, type TracedStep } from "../core/enrolment-trace.ts";
import type { Ledger } from "../core/ledger.ts";
import type { FailureRecorder } from "../core/ports.ts";
import type { Profile } from "../core/profile.ts";
import { type EnvelopedData, parseEnvelopedData, sealedFor } from "../protocol/enveloped-data.ts";
import type { IssuerAndSerial } from "../protocol/issuer-and-serial.ts";
import { readScepContent, type ScepRequestContent } from "../protocol/scep-content.ts";
import {
  type MessageType,
  parsePkiMessage,
  type SignedPkiMessage,
  type VerifiedPkiMessage,
  verifyPkiMessage,
} from "../protocol/scep-message.ts";
import { encodeCertRep, type ScepResult } from "../protocol/scep-writer.ts";
import { failureOf, isForLater } from "./fail-info.ts";
import type { IssuanceGate } from "./issuance-gate.ts";
import type { ProfileAuthorityOf } from "./profile-authority.ts";
import type { EarlierVisits } from "./recent-visits.ts";
import type { RegistrationKey, RegistrationKeys } from "./registration-authority.ts";

/** What became of one PKIOperation, for log, counters and trace: nothing in it is secret. */
export interface ScepReport {
  readonly profileId: string;
  readonly messageType: MessageType;
  readonly transactionId: string;
  readonly status: ScepResult["status"];
  readonly error?: unknown;
  /** When the message came in, ms, and what its sender had asked for before. */
  readonly at: number;
  readonly earlier: EarlierVisits;
  readonly steps: readonly TracedStep[];
  /** Once the challenge or the old certificate has told. */
  readonly deviceId: string | undefined;
}

export interface ScepOperationsParts {
  readonly enrolments: EnrolmentService;
  readonly ledger: Pick<Ledger, "findCertificates">;
  readonly authorityOf: ProfileAuthorityOf;
  readonly gate: IssuanceGate;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: (report: ScepReport) => void;
  /** For failures before core has seen the request; it records its own. */
  readonly recordFailure: FailureRecorder;
}

/**
 * The PKIOperation of SCEP (RFC 8894 section 3): a signed and encrypted request in, a signed CertRep out. Whatever parses
 * as a SCEP message gets a CertRep; throws ProtocolError only for what does not.
 */
export class ScepOperations {
  readonly #parts: ScepOperationsParts;

  constructor(parts: ScepOperationsParts) {
    this.#parts = parts;
  }

  /** Throws BusyError too, where too many ask at once, and what is retryable. */
  async answer(bytes: Uint8Array, profile: Profile, earlier: EarlierVisits = {}): Promise<Buffer> {
    const visit = { at: this.#parts.clock.now(), earlier };
    const trace = new MessageTrace(() => performance.now());
    const message = parsePkiMessage(bytes);
    trace.enter("queued");
    return await this.#parts.gate.run(message.transactionId, () =>
      this.#answer(message, profile, trace, visit),
    );
  }

  async #answer(
    message: SignedPkiMessage,
    profile: Profile,
    trace: MessageTrace,
    visit: Pick<ScepReport, "at" | "earlier">,
  ): Promise<Buffer> {
    const { random, report } = this.#parts;
    const { messageType, transactionId } = message;
    trace.enter("signature");
    // Whoever the message was sealed to answers it: after a rollover the client knows the one before.
    const { key, envelope } = await this.#addressed(message, profile);
    const { responder } = key;
    const about = { profileId: profile.id, messageType, transactionId };
    // A failure carries nothing that is encrypted, so it goes out without a signer that could be verified.
    let signer: Pick<VerifiedPkiMessage, "signer" | "digest"> = {
      signer: responder.certificate,
      digest: "sha256",
    };
    let result: ScepResult;
    let failure: { readonly error: unknown } | undefined;
    try {
      const { legacyAlgorithms: allowLegacy } = profile;
      const verified = await this.#recording(about, () =>
        verifyPkiMessage(message, { allowLegacy }),
      );
      signer = verified;
      result = await this.#result(verified, profile, { key, envelope, trace });
    } catch (error) {
      result = { status: "FAILURE", ...failureOf(error) };
      failure = { error };
    }
    trace.enter("answered");
    try {
      if (isForLater(failure?.error)) throw failure?.error;
      return await encodeCertRep({ ...message, ...signer }, result, responder, random);
    } finally {
      const { deviceId } = trace;
      report({
        ...about,
        ...visit,
        ...failure,
        status: result.status,
        steps: trace.steps(),
        deviceId,
      });
    }
  }

  /** The RA's key that the message is sealed to; the current one where it is to none, which is then refused. */
  async #addressed(message: SignedPkiMessage, profile: Profile): Promise<Omit<Addressed, "trace">> {
    const { registration } = this.#parts.authorityOf(profile);
    const read = readEnvelope(message, profile);
    const current = registration.current();
    if (read.envelope === undefined) return { key: current, envelope: read };
    const { envelope } = read;
    const keys = keyFor(envelope, registration);
    if (keys !== undefined) return { key: keys, envelope: read };
    await registration.lookAgain();
    return { key: keyFor(envelope, registration) ?? current, envelope: read };
  }

  async #result(
    message: VerifiedPkiMessage,
    profile: Profile,
    addressed: Addressed,
  ): Promise<ScepResult> {
    const about = { profileId: profile.id, transactionId: message.transactionId };
    addressed.trace.enter("envelope");
    const { content, received } = await this.#recording(about, () =>
      this.#open(message, profile, addressed),
    );
    return await this.#resultOf(content, message, profile, received);
  }

  /** Records what fails before core sees the request. */
  async #recording<T>(
    about: Pick<ScepReport, "profileId" | "transactionId">,
    act: () => T | Promise<T>,
  ): Promise<T> {
    try {
      return await act();
    } catch (error) {
      const { profileId, transactionId } = about;
      await this.#parts.recordFailure({ profileId, transactionId, error });
      throw error;
    }
  }

  async #open(
    message: VerifiedPkiMessage,
    profile: Profile,
    { key, envelope: read, trace }: Addressed,
  ) {
    const { messageType } = message;
    if (messageType === "CertRep") {
      throw new ProtocolError("scep-message", "SCEP message: a server does not take a CertRep");
    }
    const { legacyAlgorithms: allowLegacy } = profile;
    if (read.envelope === undefined) throw read.error;
    const { envelope } = read;
    const addressed = sealedFor(envelope, [key.responder.certificate]);
    if (addressed === undefined) {
      throw new ProtocolError(
        "scep-recipient",
        "SCEP message: not encrypted to the RA's certificate that GetCACert gives",
      );
    }
    const opened = await key.opener.open(addressed.sealed);
    const signerKey = message.signer;
    const content = readScepContent(messageType, opened, { allowLegacy, signerKey });
    const { keyEncryption } = addressed.sealed;
    return { content, received: { cipher: envelope.cipher, keyEncryption, trace } };
  }

  async #resultOf(
    content: ScepRequestContent,
    message: VerifiedPkiMessage,
    profile: Profile,
    received: Pick<EnvelopedData, "cipher"> &
      Pick<SuccessResult, "keyEncryption"> &
      Pick<Addressed, "trace">,
  ): Promise<ScepResult> {
    const success = (certificates: readonly Uint8Array[], lists: readonly Uint8Array[] = []) =>
      ({
        status: "SUCCESS",
        certificates,
        certificateLists: lists,
        cipher: received.cipher,
        keyEncryption: received.keyEncryption,
      }) as const;
    switch (content.messageType) {
      case "PKCSReq":
      case "RenewalReq":
        return resultOfOutcome(
          await this.#enrol(content, message, profile, received.trace),
          success,
        );
      case "CertPoll":
        received.trace.enter("standing");
        return resultOfOutcome(await this.#poll(message, profile), success);
      case "GetCert":
        return success([await this.#certificate(content.issuerAndSerial, profile)]);
      case "GetCRL":
        return success([], [this.#list(content.issuerAndSerial, profile)]);
    }
  }

  #enrol(
    content: Extract<ScepRequestContent, { messageType: "PKCSReq" | "RenewalReq" }>,
    message: VerifiedPkiMessage,
    profile: Profile,
    trace: MessageTrace,
  ): Promise<EnrolmentOutcome> {
    const { certificationRequest } = content;
    return this.#parts.enrolments.enrol({
      frontDoor: "scep",
      transactionId: message.transactionId,
      profile,
      certificationRequest,
      requesterKeyInfo: message.signer.publicKeyInfo,
      proof: this.#proofOf(content, message, profile),
      trace,
    });
  }

  /**
   * A RenewalReq is proven by the certificate that signed it. So is a PKCSReq without challenge whose signer is of our
   * issuer: macOS renews that way.
   */
  #proofOf(
    {
      messageType,
      certificationRequest,
    }: { readonly messageType: MessageType } & Pick<
      Extract<ScepRequestContent, { messageType: "PKCSReq" | "RenewalReq" }>,
      "certificationRequest"
    >,
    { signer }: VerifiedPkiMessage,
    profile: Profile,
  ): EnrolmentProof {
    const { challengePassword } = certificationRequest;
    const isOurs = this.#parts
      .authorityOf(profile)
      .issuers.some(({ subject }) => isSameName(signer.issuer, subject));
    const isRenewal = messageType === "RenewalReq" || (challengePassword === undefined && isOurs);
    if (isRenewal) return { kind: "renewal", certificate: signer };
    return { kind: "challenge", challengePassword, signer: isOurs ? signer : undefined };
  }

  async #poll(message: VerifiedPkiMessage, profile: Profile): Promise<EnrolmentOutcome> {
    const outcome = await this.#parts.enrolments.poll({
      profileId: profile.id,
      transactionId: message.transactionId,
      requesterKeyInfo: message.signer.publicKeyInfo,
    });
    if (outcome !== undefined) return outcome;
    throw unknownCertificate("No request of this transaction and key is known");
  }

  async #certificate(of: IssuerAndSerial, profile: Profile): Promise<Uint8Array> {
    this.#requireIssuer(of, profile);
    const found = await this.#parts.ledger.findCertificates(of.serialNumber);
    const known = found.find(({ certificate }) =>
      isSameName(parseCertificate(certificate).issuer, of.issuer),
    );
    if (known !== undefined) return known.certificate;
    throw unknownCertificate("No certificate with this serial number was issued here");
  }

  #list(of: IssuerAndSerial, profile: Profile): Uint8Array {
    const issuer = this.#requireIssuer(of, profile);
    const list = this.#parts.authorityOf(profile).currentList(issuer);
    if (list !== undefined) return list;
    throw unknownCertificate("There is no revocation list of this issuer here");
  }

  #requireIssuer({ issuer }: IssuerAndSerial, profile: Profile): Certificate {
    const { issuers } = this.#parts.authorityOf(profile);
    const found = issuers.find(({ subject }) => isSameName(issuer, subject));
    if (found !== undefined) return found;
    throw unknownCertificate("The issuer is not one of this profile");
  }
}

/** A message's envelope, or what is wrong with it; and the key that will answer. */
interface Addressed {
  readonly key: RegistrationKey;
  readonly envelope: ReadEnvelope;
  readonly trace: MessageTrace;
}

type ReadEnvelope =
  | { readonly envelope: EnvelopedData }
  | { readonly envelope: undefined; readonly error: ProtocolError };

function readEnvelope(message: SignedPkiMessage, profile: Profile): ReadEnvelope {
  const { legacyAlgorithms: allowLegacy } = profile;
  try {
    return { envelope: parseEnvelopedData(message.signedData.content, { allowLegacy }) };
  } catch (error) {
    if (error instanceof ProtocolError) return { envelope: undefined, error };
    throw error;
  }
}

function keyFor(
  envelope: EnvelopedData,
  registration: RegistrationKeys,
): RegistrationKey | undefined {
  const keys = registration.accepted();
  const found = sealedFor(
    envelope,
    keys.map(({ responder }) => responder.certificate),
  );
  return found && keys[found.index];
}

type SuccessResult = Extract<ScepResult, { status: "SUCCESS" }>;

function resultOfOutcome(
  outcome: EnrolmentOutcome,
  success: (certificates: readonly Uint8Array[]) => ScepResult,
): ScepResult {
  return outcome.kind === "pending" ? { status: "PENDING" } : success([outcome.certificate]);
}

function unknownCertificate(message: string): RefusalError {
  return new RefusalError("certificate-unknown", "ledger", message);
}
