import type { Clock } from "@isthmus/shared/clock";
import { codeOf, ProtocolError, RefusalError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { isSameName } from "@isthmus/shared/x509/name";
import type { EnrolmentOutcome, EnrolmentProof } from "../core/enrolment-request.ts";
import type { EnrolmentService } from "../core/enrolment-service.ts";
import type { Ledger } from "../core/ledger.ts";
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
import { encodeCertRep, type ScepResult, type ScepSigner } from "../protocol/scep-writer.ts";
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
  readonly ledger: Pick<Ledger, "findCertificate">;
  /** The revocation list in force, DER. */
  readonly currentList: () => Uint8Array | undefined;
  readonly issuer: Certificate;
  readonly ra: ScepSigner;
  readonly opener: EnvelopeOpener;
  readonly clock: Clock;
  readonly random: Random;
  /** Awaited before the answer leaves, so that a failure that was told is on record. */
  readonly report: (report: ScepReport) => Promise<void>;
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
    let verified: VerifiedPkiMessage | undefined;
    let result: ScepResult;
    let error: unknown;
    try {
      verified = verifyPkiMessage(message, { allowLegacy: profile.legacyAlgorithms });
      result = await this.#result(verified, profile);
    } catch (thrown) {
      error = thrown;
      result = { status: "FAILURE", ...failureOf(thrown) };
    }
    const { messageType, transactionId } = message;
    const { status } = result;
    await this.#parts.report({ profileId: profile.id, messageType, transactionId, status, error });
    const { ra, random } = this.#parts;
    return await encodeCertRep(verified ?? unverified(message, ra), result, ra, random);
  }

  async #result(message: VerifiedPkiMessage, profile: Profile): Promise<ScepResult> {
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
    return await this.#resultOf(content, message, profile, { ...envelope, keyEncryption });
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
    const known = await this.#parts.ledger.findCertificate(of.serialNumber);
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

/** A failure carries nothing that is encrypted, so the signer that could not be verified is not used. */
function unverified(message: SignedPkiMessage, ra: ScepSigner) {
  return { ...message, signer: ra.certificate, digest: "sha256" } as const;
}

function unknownCertificate(message: string): RefusalError {
  return new RefusalError("certificate-unknown", "ledger", message);
}

/** The name of an error's code for counters: ours are a closed set. */
export function outcomeCode(report: ScepReport): string {
  return report.error === undefined ? report.status.toLowerCase() : codeOf(report.error);
}
