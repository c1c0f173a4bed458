import type { Clock } from "@isthmus/shared/clock";
import { ProtocolError, RefusalError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { isSameName } from "@isthmus/shared/x509/name";
import type { EnrolmentOutcome, EnrolmentProof } from "../core/enrolment-request.ts";
import type { EnrolmentService } from "../core/enrolment-service.ts";
import type { Ledger } from "../core/ledger.ts";
import type { FailureRecorder } from "../core/ports.ts";
import type { Profile } from "../core/profile.ts";
import { type EnvelopedData, parseEnvelopedData, sealedFor } from "../protocol/enveloped-data.ts";
import type { IssuerAndSerial } from "../protocol/issuer-and-serial.ts";
import { readScepContent, type ScepRequestContent } from "../protocol/scep-content.ts";
import {
  type MessageType,
  parsePkiMessage,
  type VerifiedPkiMessage,
  verifyPkiMessage,
} from "../protocol/scep-message.ts";
import { encodeCertRep, type ScepResponder, type ScepResult } from "../protocol/scep-writer.ts";
import type { EnvelopeOpener } from "./envelope-opener.ts";
import { failureOf } from "./fail-info.ts";

/** What became of one PKIOperation, for log and counters: nothing in it is secret. */
export interface ScepReport {
  readonly profileId: string;
  readonly messageType: MessageType;
  readonly transactionId: string;
  readonly status: ScepResult["status"];
  readonly error?: unknown;
}

export interface ScepOperationsParts {
  readonly enrolments: EnrolmentService;
  readonly ledger: Pick<Ledger, "findCertificates">;
  /** The revocation list in force, DER. */
  readonly currentList: () => Uint8Array | undefined;
  readonly issuer: Certificate;
  readonly ra: ScepResponder;
  readonly opener: EnvelopeOpener;
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

  async answer(bytes: Uint8Array, profile: Profile): Promise<Buffer> {
    const message = parsePkiMessage(bytes);
    const { ra, random, report } = this.#parts;
    const { messageType, transactionId } = message;
    const about = { profileId: profile.id, messageType, transactionId };
    // A failure carries nothing that is encrypted, so it goes out without a signer that could be verified.
    let signer: Pick<VerifiedPkiMessage, "signer" | "digest"> = {
      signer: ra.certificate,
      digest: "sha256",
    };
    let result: ScepResult;
    try {
      const { legacyAlgorithms: allowLegacy } = profile;
      const verified = await this.#recording(about, () =>
        verifyPkiMessage(message, { allowLegacy }),
      );
      signer = verified;
      result = await this.#result(verified, profile);
      report({ ...about, status: result.status });
    } catch (error) {
      result = { status: "FAILURE", ...failureOf(error) };
      report({ ...about, status: result.status, error });
    }
    return await encodeCertRep({ ...message, ...signer }, result, ra, random);
  }

  async #result(message: VerifiedPkiMessage, profile: Profile): Promise<ScepResult> {
    const about = { profileId: profile.id, transactionId: message.transactionId };
    const { content, received } = await this.#recording(about, () => this.#open(message, profile));
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

  async #open(message: VerifiedPkiMessage, profile: Profile) {
    const { messageType } = message;
    if (messageType === "CertRep") {
      throw new ProtocolError("scep-message", "SCEP message: a server does not take a CertRep");
    }
    const { legacyAlgorithms: allowLegacy } = profile;
    const envelope = parseEnvelopedData(message.signedData.content, { allowLegacy });
    const { ra, opener } = this.#parts;
    const addressed = sealedFor(envelope, [ra.certificate]);
    if (addressed === undefined) {
      throw new ProtocolError(
        "scep-recipient",
        "SCEP message: not encrypted to the RA's certificate that GetCACert gives",
      );
    }
    const opened = await opener.open(addressed.sealed);
    const signerKey = message.signer;
    const content = readScepContent(messageType, opened, { allowLegacy, signerKey });
    const { keyEncryption } = addressed.sealed;
    return { content, received: { cipher: envelope.cipher, keyEncryption } };
  }

  async #resultOf(
    content: ScepRequestContent,
    message: VerifiedPkiMessage,
    profile: Profile,
    received: Pick<EnvelopedData, "cipher"> & Pick<SuccessResult, "keyEncryption">,
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
        return resultOfOutcome(await this.#enrol(content, message, profile), success);
      case "CertPoll":
        return resultOfOutcome(await this.#poll(message, profile), success);
      case "GetCert":
        return success([await this.#certificate(content.issuerAndSerial)]);
      case "GetCRL":
        return success([], [this.#list(content.issuerAndSerial)]);
    }
  }

  #enrol(
    content: Extract<ScepRequestContent, { messageType: "PKCSReq" | "RenewalReq" }>,
    message: VerifiedPkiMessage,
    profile: Profile,
  ): Promise<EnrolmentOutcome> {
    const { certificationRequest } = content;
    return this.#parts.enrolments.enrol({
      frontDoor: "scep",
      transactionId: message.transactionId,
      profile,
      certificationRequest,
      requesterKeyInfo: message.signer.publicKeyInfo,
      proof: this.#proofOf(content, message),
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
  ): EnrolmentProof {
    const { challengePassword } = certificationRequest;
    const isOurs = isSameName(signer.issuer, this.#parts.issuer.subject);
    const isRenewal = messageType === "RenewalReq" || (challengePassword === undefined && isOurs);
    return isRenewal
      ? { kind: "renewal", certificate: signer }
      : { kind: "challenge", challengePassword };
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

  async #certificate(of: IssuerAndSerial): Promise<Uint8Array> {
    this.#requireIssuer(of);
    const found = await this.#parts.ledger.findCertificates(of.serialNumber);
    const known = found.find(({ certificate }) =>
      isSameName(parseCertificate(certificate).issuer, of.issuer),
    );
    if (known !== undefined) return known.certificate;
    throw unknownCertificate("No certificate with this serial number was issued here");
  }

  #list(of: IssuerAndSerial): Uint8Array {
    this.#requireIssuer(of);
    const list = this.#parts.currentList();
    if (list !== undefined) return list;
    throw unknownCertificate("There is no revocation list yet");
  }

  #requireIssuer({ issuer }: IssuerAndSerial): void {
    if (isSameName(issuer, this.#parts.issuer.subject)) return;
    throw unknownCertificate("The issuer is not the one of this service");
  }
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
