import { createPrivateKey, type KeyObject } from "node:crypto";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  type CertificationRequestContent,
  encodeCertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { encodeName } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { EnrolmentOutcome, EnrolmentRequest } from "./enrolment-request.ts";
import type { Grant } from "./grant.ts";
import type { Ledger } from "./ledger.ts";
import { plannedNames, plannedSubject } from "./planned-names.ts";
import type { PfxSettings, Profile } from "./profile.ts";
import { type RecipientReference, type RecipientRules, recipientFor } from "./recipient.ts";

/** A certificate whose key is made here and reaches its device in a PFX that only the device can open. */
export interface PkcsOrder {
  /** What makes a repeated order the same: it ends with the same certificate and the same envelope. */
  readonly requestId: string;
  readonly profile: Profile;
  readonly grant: Grant & { readonly deviceId: string };
  readonly recipient: RecipientReference;
}

/** A PFX with its password, encrypted to the device. */
export interface PkcsDelivery {
  readonly requestId: string;
  readonly deviceId: string;
  readonly serialNumber: string;
  /** SHA-256 of the certificate and of the recipient's, hex. */
  readonly thumbprint: string;
  readonly recipientThumbprint: string;
  readonly notAfter: number;
  /** CMS EnvelopedData, DER. */
  readonly envelope: Uint8Array;
}

/** An order under way: its key is kept, sealed, until the certificate is there. */
export interface PkcsDraft {
  readonly requestId: string;
  readonly profileId: string;
  readonly deviceId: string;
  readonly recipientThumbprint: string;
  readonly certificationRequest: Uint8Array;
  /** PKCS#8, sealed by `DraftSealer`. */
  readonly sealedKey: Uint8Array;
  readonly at: number;
}

/** What survives a crash between making a key and handing it over. */
export interface PkcsOutbox {
  find(requestId: string): Promise<PkcsDraft | PkcsDelivery | undefined>;
  /** Keeps a draft, or returns what another call kept first. */
  begin(draft: PkcsDraft): Promise<PkcsDraft | PkcsDelivery>;
  /** Replaces the draft, key and all, by the delivery; returns the one that is stored in the end. */
  complete(delivery: PkcsDelivery & { readonly at: number }): Promise<PkcsDelivery>;
}

/** Seals a private key for the time that it waits here. Opening with another `context` fails. */
export interface DraftSealer {
  seal(plain: Uint8Array, context: string): Buffer;
  /** Throws ConnectorError `draft-unreadable`. */
  open(sealed: Uint8Array, context: string): Buffer;
}

/** Writes the PFX and the envelope around it. */
export type DeliverySealer = (of: {
  readonly privateKey: KeyObject;
  readonly certificate: Certificate;
  readonly chain: readonly Certificate[];
  readonly format: PfxSettings["format"];
  readonly friendlyName: string;
  readonly recipient: Certificate;
}) => Promise<Buffer>;

export interface PkcsParts {
  readonly enrol: (request: EnrolmentRequest) => Promise<EnrolmentOutcome>;
  readonly ledger: Pick<Ledger, "findCertificates">;
  readonly outbox: PkcsOutbox;
  readonly drafts: DraftSealer;
  readonly newKey: (type: PfxSettings["keyType"], signal?: AbortSignal) => Promise<KeyObject>;
  readonly sealDelivery: DeliverySealer;
  /** The issuer's certificate and what is above it, by the issuer's key id. */
  readonly chainOf: (issuerKeyId: string) => readonly Certificate[];
  readonly rules: RecipientRules;
  readonly clock: Clock;
}

/**
 * From an order to what a device can open:
 *
 *     recipient known -> key -> draft (key sealed) in the outbox -> enrolment -> PFX in an envelope in the outbox -> delivered
 *
 * A crash after any step goes on from what is stored: one key, one certificate, one envelope for a request id.
 */
export class PkcsIssuance {
  readonly #parts: PkcsParts;

  constructor(parts: PkcsParts) {
    this.#parts = parts;
  }

  /**
   * Throws RefusalError `profile-not-pkcs`, `request-id-used`, those of `recipientFor` and of enrolments; ConnectorError
   * `pkcs-pending` (retryable) where a person or a remote authority has yet to decide.
   */
  async issue(order: PkcsOrder, signal?: AbortSignal): Promise<PkcsDelivery> {
    const { profile, requestId } = order;
    const settings = settingsOf(profile);
    const known = await this.#parts.outbox.find(requestId);
    if (known !== undefined) refuseOther(known, order);
    if (known !== undefined && "envelope" in known) return known;
    const recipient = await this.#recipientOf(order);
    const standing = known ?? (await this.#begin(order, settings, recipient, signal));
    refuseOther(standing, order);
    if ("envelope" in standing) return standing;
    const { thumbprint: recipientThumbprint } = recipient;
    if (standing.recipientThumbprint !== recipientThumbprint) throw used(requestId);
    const outcome = await this.#enrol(order, standing);
    const certificate = parseCertificate(outcome.certificate);
    const envelope = await this.#parts.sealDelivery({
      privateKey: this.#openKey(standing),
      certificate,
      chain: this.#parts.chainOf(outcome.issuerKeyId),
      format: settings.format,
      friendlyName: `${profile.id} ${order.grant.deviceId}`,
      recipient,
    });
    const { serialNumber, thumbprint, notAfter } = certificate;
    return await this.#parts.outbox.complete({
      requestId,
      deviceId: order.grant.deviceId,
      serialNumber,
      thumbprint,
      recipientThumbprint,
      notAfter,
      envelope,
      at: this.#parts.clock.now(),
    });
  }

  async #recipientOf({ recipient, grant }: PkcsOrder): Promise<Certificate> {
    const { ledger, rules, clock } = this.#parts;
    const known = { ledger, rules, now: clock.now() };
    const { certificate } = await recipientFor(recipient, grant.deviceId, known);
    return certificate;
  }

  async #begin(
    { requestId, profile, grant }: PkcsOrder,
    { keyType }: PfxSettings,
    { thumbprint: recipientThumbprint }: Certificate,
    signal: AbortSignal | undefined,
  ): Promise<PkcsDraft | PkcsDelivery> {
    const { newKey, drafts, outbox, clock } = this.#parts;
    const key = await newKey(keyType, signal);
    const certificationRequest = await encodeCertificationRequest(wishOf(profile, grant), key);
    const sealedKey = drafts.seal(key.export({ format: "der", type: "pkcs8" }), requestId);
    const { deviceId } = grant;
    const draft = { requestId, profileId: profile.id, deviceId, recipientThumbprint };
    return await outbox.begin({ ...draft, certificationRequest, sealedKey, at: clock.now() });
  }

  async #enrol({ requestId, profile, grant }: PkcsOrder, draft: PkcsDraft) {
    const certificationRequest = parseCertificationRequest(draft.certificationRequest);
    const outcome = await this.#parts.enrol({
      frontDoor: "pkcs",
      transactionId: requestId,
      profile,
      certificationRequest,
      requesterKeyInfo: certificationRequest.publicKeyInfo,
      proof: { kind: "command", grant },
    });
    if (outcome.kind === "issued") return outcome;
    throw new ConnectorError(
      "pkcs-pending",
      `request ${requestId} waits for a decision; order it again later under the same id`,
      { isRetryable: true },
    );
  }

  #openKey({ sealedKey, requestId }: PkcsDraft): KeyObject {
    const key = this.#parts.drafts.open(sealedKey, requestId);
    return createPrivateKey({ key, format: "der", type: "pkcs8" });
  }
}

/**
 * What the request asks for: the names that the plan will have, for remote authorities that take them from the request. What
 * only a directory knows is missing; the plan decides in any case.
 */
function wishOf(profile: Profile, grant: PkcsOrder["grant"]): CertificationRequestContent {
  try {
    const subject = plannedSubject(profile, { grant });
    const names = plannedNames(profile, { grant });
    const extension = subjectAltNameExtension(names, subject.attributes.length === 0);
    return { subject, extensionRequest: [extension] };
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    return { subject: encodeName([[{ type: OID.commonName, value: grant.deviceId }]]) };
  }
}

function settingsOf({ id, pfx }: Profile): PfxSettings {
  if (pfx !== undefined) return pfx;
  throw new RefusalError(
    "profile-not-pkcs",
    "profile.pfx",
    `Profile ${id} makes no keys for devices: it has no pfx section`,
  );
}

/** One request id stands for one device: another order under it is a mistake or a theft. */
function refuseOther(
  { deviceId, requestId }: PkcsDraft | PkcsDelivery,
  { grant }: PkcsOrder,
): void {
  if (deviceId !== grant.deviceId) throw used(requestId);
}

function used(requestId: string): RefusalError {
  return new RefusalError(
    "request-id-used",
    "pkcs.outbox",
    `Request id ${requestId} stands for another device or recipient`,
  );
}
