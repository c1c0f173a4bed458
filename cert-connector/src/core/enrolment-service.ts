import { hash } from "node:crypto";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf, RefusalError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { parseCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { serialNumberFrom } from "@isthmus/shared/x509/issue";
import { firstValue } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { accountOf, type Directories } from "./account.ts";
import type { Authorities } from "./authorities.ts";
import type { TellAuthority } from "./authority-revocation.ts";
import { type CertificatePlan, planCertificate } from "./certificate-plan.ts";
import {
  type EnrolmentOutcome,
  type EnrolmentRequest,
  type GrantedEnrolment,
  requestKeyOf,
} from "./enrolment-request.ts";
import type { StepTrace } from "./enrolment-trace.ts";
import type { Grant } from "./grant.ts";
import type { Ledger, RequestKey, Standing, UnfinishedIntent } from "./ledger.ts";
import { lintTbs } from "./lint.ts";
import type { NotificationState } from "./notification.ts";
import { intentOf, notificationOf } from "./planned-intent.ts";
import type {
  CertificateAuthority,
  ChallengeVerifier,
  FailureRecorder,
  IssuanceGuard,
  SigningObstacle,
} from "./ports.ts";
import type { Profile, PublicUrls } from "./profile.ts";
import { requireKey } from "./public-key.ts";
import { RemoteIssuance } from "./remote-issuance.ts";
import { isValidatedElsewhere, renewalGrant, renewalInstead } from "./renewal.ts";

/** RFC 5280 allows 20 octets: 158 of their 160 bits are random. */
const SERIAL_NUMBER_OCTETS = 20;
const NO_DIRECTORIES: Directories = new Map();

export interface EnrolmentParts {
  readonly ledger: Ledger;
  readonly authorities: Authorities;
  readonly challenges: Readonly<Partial<Record<Profile["challenge"]["kind"], ChallengeVerifier>>>;
  /** Where profiles look accounts up; none where it is absent. */
  readonly directories?: Directories;
  readonly guard: IssuanceGuard;
  readonly signingObstacle: SigningObstacle;
  readonly recordFailure: FailureRecorder;
  readonly tellAuthority: TellAuthority;
  /** Sends what the outbox holds of one enrolment, if it is due. */
  readonly notifications: { deliver(id: number): Promise<NotificationState> };
  /** Of the configuration in force. */
  readonly publicUrls: () => PublicUrls;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * From a device's request to its certificate:
 *
 *     grant -> account in the directory -> plan -> lint -> intent in the ledger -> sign -> certificate in the ledger -> who validated it is told
 *
 * All that can refuse comes before the intent. From the intent on the certificate will exist: a crash, a lost answer or a
 * second request in flight ends with the same serial number and the same certificate.
 */
export class EnrolmentService {
  readonly #parts: EnrolmentParts;
  readonly #remote: RemoteIssuance;

  constructor(parts: EnrolmentParts) {
    this.#parts = parts;
    this.#remote = new RemoteIssuance(parts);
  }

  /**
   * Throws RefusalError with the rule that refused, ConnectorError where this connector cannot issue now; either is on
   * record then.
   */
  async enrol(request: EnrolmentRequest): Promise<EnrolmentOutcome> {
    const seen: { grant?: Grant } = {};
    try {
      return await this.#enrol(request, seen);
    } catch (error) {
      const renewal = renewalInstead(request, error);
      const outcome = renewal && (await this.#enrol(renewal, {}).catch(() => undefined));
      if (outcome !== undefined) return outcome;
      await this.#recordFailure(request, seen.grant, error);
      throw error;
    }
  }

  async #enrol(request: EnrolmentRequest, seen: { grant?: Grant }): Promise<EnrolmentOutcome> {
    const key = requestKeyOf(request);
    const enrolment = await this.#grant(request, key);
    if ("kind" in enrolment) return await this.#outcomeOf(enrolment, request.trace);
    seen.grant = enrolment.grant;
    request.trace?.identify(enrolment.grant.deviceId);
    return request.profile.approval
      ? await this.#awaitApproval(enrolment, key)
      : await this.#issue(enrolment, key, undefined);
  }

  async #recordFailure(
    { transactionId, profile, certificationRequest }: EnrolmentRequest,
    grant: Grant | undefined,
    error: unknown,
  ): Promise<void> {
    // The outbox has put this one on record.
    if (codeOf(error) === NOTIFICATION_REFUSED) return;
    await this.#parts.recordFailure({
      transactionId,
      profileId: profile.id,
      deviceId: grant?.deviceId,
      error,
      notification: notificationOf(grant, transactionId, certificationRequest),
    });
  }

  /** What became of a request that was pending. Undefined if there is none for this transaction and key. */
  async poll(of: {
    readonly profileId: string;
    readonly transactionId: string;
    /** SubjectPublicKeyInfo of who polls, DER. */
    readonly requesterKeyInfo: Buffer;
  }): Promise<EnrolmentOutcome | undefined> {
    const requesterKeyHash = hash("sha256", of.requesterKeyInfo, "buffer");
    const standing = await this.#parts.ledger.standingOfKey({ ...of, requesterKeyHash });
    return standing && (await this.#outcomeOf(standing));
  }

  /** Issues what a person has approved. */
  async approve(pendingId: number, profileOf: (id: string) => Profile | undefined): Promise<void> {
    const pending = await this.#parts.ledger.findPending(pendingId);
    if (pending === undefined) {
      throw new ConnectorError("request-unknown", `no request ${pendingId} waits for approval`);
    }
    const profile = profileOf(pending.profileId);
    if (profile === undefined) {
      throw new ConnectorError("profile-unknown", `profile ${pending.profileId} is gone`);
    }
    const { frontDoor, transactionId, grant, renewsSerialNumber } = pending;
    const certificationRequest = parseCertificationRequest(pending.certificationRequest);
    const proof = { kind: "challenge", challengePassword: undefined } as const;
    const request = {
      frontDoor,
      transactionId,
      profile,
      certificationRequest,
      requesterKeyInfo: certificationRequest.publicKeyInfo,
      proof,
    } as const;
    await this.#issue({ request, grant, renewsSerialNumber }, requestKeyOf(request), pendingId);
  }

  /**
   * Completes what was intended and never stored: after a crash, and where a remote authority had no answer yet. One that
   * cannot be completed stays, and is recorded. With `intendedBefore` (ms) only what is older.
   */
  async completeUnfinished(
    kind: CertificateAuthority["kind"],
    intendedBefore?: number,
  ): Promise<{ readonly completed: number; readonly left: number }> {
    const unfinished = await this.#parts.ledger.unfinishedIntents(intendedBefore);
    const intents = unfinished.filter(
      ({ authority }) => this.#parts.authorities.kindOf(authority) === kind,
    );
    let completed = 0;
    for (const intent of intents) {
      try {
        const { kind } = await this.#resume(intent);
        if (kind === "issued") completed += 1;
      } catch (error) {
        const { transactionId } = intent;
        await this.#parts.recordFailure({ transactionId, profileId: undefined, error });
      }
    }
    return { completed, left: intents.length - completed };
  }

  async #grant(request: EnrolmentRequest, key: RequestKey): Promise<GrantedEnrolment | Standing> {
    if (isValidatedElsewhere(request.profile)) {
      // A device that asks again need not wait for who has validated this very request already.
      request.trace?.enter("standing");
      const standing = await this.#parts.ledger.standingOf(key);
      if (standing !== undefined) return standing;
    }
    try {
      request.trace?.enter("challenge");
      return await this.#verifyProof(request);
    } catch (error) {
      // A retry may come when the challenge has expired or the renewed certificate is gone: it is still the same request.
      const standing =
        error instanceof RefusalError ? await this.#parts.ledger.standingOf(key) : undefined;
      if (standing === undefined) throw error;
      return standing;
    }
  }

  async #verifyProof(request: EnrolmentRequest): Promise<GrantedEnrolment> {
    const { proof, profile, certificationRequest } = request;
    if (proof.kind === "command") {
      return { request, grant: proof.grant, renewsSerialNumber: undefined };
    }
    const now = this.#parts.clock.now();
    // Intune gives a challenge for each renewal too, and has to know of every certificate in order to revoke it.
    if (proof.kind === "renewal" && profile.challenge.kind !== "intune") {
      const { serialNumber } = proof.certificate;
      const known = await this.#parts.ledger.findCertificates(serialNumber);
      const grant = renewalGrant({
        shown: proof.certificate,
        candidates: known,
        profile,
        publicKeyInfo: certificationRequest.publicKeyInfo,
        now,
      });
      return { request, grant, renewsSerialNumber: serialNumber };
    }
    const grant = await this.#verifier(profile).verify({
      challengePassword:
        proof.kind === "challenge"
          ? proof.challengePassword
          : certificationRequest.challengePassword,
      profile,
      transactionId: request.transactionId,
      certificationRequest,
      requestedCommonName: firstValue(certificationRequest.subject, OID.commonName),
      now,
    });
    return { request, grant, renewsSerialNumber: undefined };
  }

  async #awaitApproval(enrolment: GrantedEnrolment, key: RequestKey): Promise<EnrolmentOutcome> {
    const { request, grant, renewsSerialNumber } = enrolment;
    const { publicKeyInfo, der } = request.certificationRequest;
    requireKey(publicKeyInfo, request.profile.keyFloor);
    const authority = this.#parts.authorities.choose(request.profile.ca);
    const plan = await this.#plan(enrolment, authority);
    request.trace?.enter("pending");
    return this.#outcomeOf(
      await this.#parts.ledger.recordPending({
        ...key,
        frontDoor: request.frontDoor,
        certificationRequest: der,
        grant,
        subject: plan.subjectText,
        requesterKeyHash: hash("sha256", request.requesterKeyInfo, "buffer"),
        renewsSerialNumber,
        maxPerHour: request.profile.maxPerHour,
        at: this.#parts.clock.now(),
      }),
    );
  }

  async #issue(
    enrolment: GrantedEnrolment,
    key: RequestKey,
    pendingId: number | undefined,
  ): Promise<EnrolmentOutcome> {
    this.#refuseObstacle();
    const authority = this.#parts.authorities.choose(enrolment.request.profile.ca);
    const plan = await this.#plan(enrolment, authority);
    const { trace } = enrolment.request;
    trace?.enter("intent");
    const at = this.#parts.clock.now();
    const { window } = this.#parts.guard;
    const intent = intentOf(enrolment, { key, authority, plan, pendingId, window, at });
    const outcome = await this.#parts.ledger.recordIntent(intent);
    if (outcome.kind !== "recorded") return await this.#outcomeOf(outcome, trace);
    return await this.#told(await this.#sign(intent, trace), outcome.notificationId, trace);
  }

  async #plan(
    { request, grant }: GrantedEnrolment,
    authority: CertificateAuthority,
  ): Promise<CertificatePlan> {
    const { clock, random, guard } = this.#parts;
    const { profile, certificationRequest, frontDoor, trace } = request;
    if (profile.directory !== undefined) trace?.enter("directory");
    const entry = await accountOf(profile, grant, this.#parts.directories ?? NO_DIRECTORIES);
    trace?.enter("plan");
    const now = clock.now();
    const issuer = authority.issuer();
    const publicUrls = this.#parts.publicUrls();
    const serialNumber = serialNumberFrom(random.bytes(SERIAL_NUMBER_OCTETS));
    const { publicKeyInfo } = certificationRequest;
    const parts = { profile, grant, entry, publicKeyInfo, issuer, publicUrls, serialNumber, now };
    const securityIdentifierForm = frontDoor === "pkcs" ? "extension" : "uri";
    const plan = planCertificate({ ...parts, securityIdentifierForm });
    trace?.enter("guard");
    guard.judgePlan(plan, profile);
    trace?.enter("lint");
    lintTbs(plan.tbs, { issuer, profile, publicUrls, now });
    return plan;
  }

  async #outcomeOf(standing: Standing, trace?: StepTrace): Promise<EnrolmentOutcome> {
    switch (standing.kind) {
      case "issued": {
        const { certificate, issuerKeyId, notificationId } = standing;
        const outcome = {
          kind: "issued",
          certificate: Buffer.from(certificate),
          issuerKeyId,
        } as const;
        return await this.#told(outcome, notificationId, trace);
      }
      case "unfinished": {
        const { intent } = standing;
        return await this.#told(await this.#resume(intent, trace), intent.notificationId, trace);
      }
      case "pending":
        return { kind: "pending" };
    }
  }

  /** The device waits until who validated it knows of the certificate, and never gets one that was refused there. */
  async #told(
    outcome: EnrolmentOutcome,
    id: number | undefined,
    trace?: StepTrace,
  ): Promise<EnrolmentOutcome> {
    if (outcome.kind !== "issued" || id === undefined) return outcome;
    trace?.enter("notified");
    const state = await this.#parts.notifications.deliver(id);
    switch (state) {
      case "accepted":
        return outcome;
      case "waiting":
        return { kind: "pending" };
      case "refused":
        throw new RefusalError(
          NOTIFICATION_REFUSED,
          "outbox",
          "The certificate was issued, but who validated the request did not accept it; it is revoked",
        );
    }
  }

  /** An intent that was read from the ledger: who can write there must not have bytes signed that nobody judged. */
  async #resume(intent: UnfinishedIntent, trace?: StepTrace): Promise<EnrolmentOutcome> {
    const issuer = this.#parts.authorities.named(intent.authority).issuer();
    this.#parts.guard.judgeBytes(intent, issuer);
    return await this.#sign(intent, trace);
  }

  /** The same bytes each time it is called for an intent; the ledger keeps the first certificate. */
  async #sign(intent: UnfinishedIntent, trace?: StepTrace): Promise<EnrolmentOutcome> {
    trace?.enter("authority");
    this.#refuseObstacle();
    const authority = this.#parts.authorities.named(intent.authority);
    if (authority.kind === "remote") return await this.#remote.ask(intent, authority);
    const order = { ...intent, isRepeated: false, reference: undefined };
    const answer = await authority.issue(order);
    if (answer.kind !== "issued") {
      throw new ConnectorError("ca-answer", `the embedded authority answered ${answer.kind}`);
    }
    trace?.enter("stored");
    const certificate = await this.#parts.ledger.recordIssued({
      serialNumber: intent.serialNumber,
      certificate: answer.certificate,
      thumbprint: hash("sha256", answer.certificate, "hex"),
      at: this.#parts.clock.now(),
    });
    const { issuerKeyId } = intent;
    return { kind: "issued", certificate: Buffer.from(certificate), issuerKeyId };
  }

  #verifier({ id, challenge }: Profile): ChallengeVerifier {
    const verifier = this.#parts.challenges[challenge.kind];
    if (verifier !== undefined) return verifier;
    throw new ConnectorError(
      "challenge-unavailable",
      `profile ${id}: this connector is not set up for challenges of kind ${challenge.kind}`,
    );
  }

  #refuseObstacle(): void {
    const obstacle = this.#parts.signingObstacle();
    if (obstacle === undefined) return;
    throw new ConnectorError(obstacle.code, obstacle.message, { isRetryable: true });
  }
}

const NOTIFICATION_REFUSED = "notification-refused";
