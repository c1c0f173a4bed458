import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import type { SigningKey } from "@isthmus/shared/x509/signing-key";
import {
  ACCEPT_PREVIOUS_MS,
  acceptedKeys,
  currentKey,
  type RegistrationKeyCustody,
  type RegistrationKeyStore,
  rolloverStep,
  type StoredRegistrationKey,
} from "../core/registration-keys.ts";
import type { ScepResponder } from "../protocol/scep-writer.ts";
import type { EnvelopeOpener } from "./envelope-opener.ts";

/** A replica sees within this time what another has made or published. */
const LOOK_MS = 60_000;
/** A renewal that failed is tried again after this. */
const RETRY_MS = 600_000;
/** Whoever encrypts to a certificate we do not know yet makes us look, so often at most. */
const MIN_LOOK_MS = 5_000;

/** A key that is ready for use. */
export interface RegistrationKey {
  readonly responder: ScepResponder;
  readonly opener: EnvelopeOpener;
}

/** What SCEP needs of the RA: which certificate to give, and which envelopes can be opened. */
export interface RegistrationKeys {
  /** Its certificate is what GetCACert gives. */
  current(): RegistrationKey;
  /** All whose envelopes are opened, the current one first. */
  accepted(): readonly RegistrationKey[];
  /** Looks whether there are other keys by now, e.g. of another replica; bounded in how often. */
  lookAgain(): Promise<void>;
}

export interface RegistrationAuthorityParts {
  readonly store: RegistrationKeyStore;
  /** The first makes new keys; a stored key is loaded by the one of its kind. */
  readonly custodies: readonly RegistrationKeyCustody[];
  /** The key that came with the authority: the first of all, or a newer one that a person put there. */
  readonly own: { readonly certificate: Certificate; readonly custody: string };
  readonly openerOf: (responder: ScepResponder) => EnvelopeOpener;
  readonly clock: Clock;
  /** Awaited before the key is kept, so that its certificate is on record. */
  readonly onMade: (certificate: Certificate) => Promise<void>;
  readonly onPublished: (certificate: Certificate, acceptOthersUntil: number) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Keeps the RA's keys loaded, and has a successor made and published before a key ends (`core/registration-keys.ts`). */
export class RegistrationAuthority implements RegistrationKeys, AsyncDisposable {
  readonly #parts: RegistrationAuthorityParts;
  readonly #loaded = new Map<string, RegistrationKey>();
  #stored: readonly StoredRegistrationKey[] = [];
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;
  #retryAt = 0;
  #running: Promise<void> | undefined;
  #isEnded = false;

  constructor(parts: RegistrationAuthorityParts) {
    this.#parts = parts;
  }

  /** Loads all keys and renews where it is due. Throws `key-unreadable`, `key-unavailable` if none can be used. */
  async start(): Promise<void> {
    await this.#takeOwn();
    await this.#load();
    this.current();
    await this.renew();
    this.#schedule();
  }

  current(): RegistrationKey {
    const usable = this.#stored.filter(({ id }) => this.#loaded.has(id));
    const key = this.#loaded.get(currentKey(usable)?.id ?? "");
    if (key !== undefined) return key;
    throw new ConnectorError("key-unavailable", "no key of the SCEP RA can be used", {
      isRetryable: true,
    });
  }

  accepted(): readonly RegistrationKey[] {
    const current = this.current();
    const others = acceptedKeys(this.#stored, this.#parts.clock.now())
      .map(({ id }) => this.#loaded.get(id))
      .filter((key) => key !== undefined && key !== current);
    return [current, ...(others as RegistrationKey[])];
  }

  /** Whether a certificate of this serial number is an RA's, which the ledger of certificates does not know. */
  hasIssued(serialNumber: string): boolean {
    return [...this.#loaded.values()].some(
      ({ responder }) => responder.certificate.serialNumber === serialNumber,
    );
  }

  async lookAgain(): Promise<void> {
    const now = this.#parts.clock.now();
    if (Math.abs(now - this.#lookedAt) < MIN_LOOK_MS) return;
    await this.#load();
  }

  /**
   * Does what is due: makes a successor, publishes it, forgets what is accepted no more. `isForced` makes a successor
   * before its time. Never throws; a failure is reported and tried again.
   */
  renew(isForced = false): Promise<void> {
    // One that is under way may be past the point where it would have made a key.
    if (isForced && this.#running !== undefined) return this.#running.then(() => this.renew(true));
    this.#running ??= this.#renew(isForced).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    await this.#running;
    await Promise.all(
      [...this.#loaded.values()].map(({ opener }) => opener[Symbol.asyncDispose]()),
    );
  }

  async #renew(isForced: boolean): Promise<void> {
    const { store, clock, onFailure } = this.#parts;
    try {
      await this.#load();
      const made = await this.#make(isForced);
      if (made) await this.#load();
      await this.#publish();
      await store.removeExpired(clock.now());
      await this.#load();
    } catch (error) {
      this.#retryAt = clock.now() + RETRY_MS;
      onFailure(error);
    }
  }

  async #make(isForced: boolean): Promise<boolean> {
    const { store, custodies, clock, onMade } = this.#parts;
    const now = clock.now();
    const [custody] = custodies;
    if (custody === undefined || rolloverStep(this.#stored, now, isForced).kind !== "make") {
      return false;
    }
    const { certificate: der, material } = await custody.make(now);
    const certificate = parseCertificate(der);
    await onMade(certificate);
    await store.add({ ...described(certificate), custody: custody.kind, material, madeAt: now });
    return true;
  }

  async #publish(): Promise<void> {
    const { store, clock, onPublished } = this.#parts;
    const now = clock.now();
    const step = rolloverStep(this.#stored, now);
    if (step.kind !== "publish") return;
    const key = this.#loaded.get(step.id);
    if (key === undefined || !(await store.isHeldByAll(step.id))) return;
    const acceptOthersUntil = now + ACCEPT_PREVIOUS_MS;
    await store.publish({ id: step.id, at: now, acceptOthersUntil });
    onPublished(key.responder.certificate, acceptOthersUntil);
  }

  /** The authority's own key is the first; later it counts only if a person has put a newer one there. */
  async #takeOwn(): Promise<void> {
    const { store, own, clock } = this.#parts;
    const { certificate, custody } = own;
    const known = await store.list();
    const isNewer = known.every(
      (key) => parseCertificate(key.certificate).notBefore < certificate.notBefore,
    );
    if (!isNewer) return;
    const publishedAt = known.length === 0 ? clock.now() : undefined;
    const madeAt = certificate.notBefore;
    await store.add({ ...described(certificate), custody, material: "", madeAt, publishedAt });
  }

  async #load(): Promise<void> {
    const { store, clock } = this.#parts;
    this.#lookedAt = clock.now();
    const stored = await store.list();
    for (const key of stored) if (!this.#loaded.has(key.id)) await this.#loadOne(key);
    this.#stored = stored;
    for (const [id, { opener }] of this.#loaded) {
      if (stored.some((key) => key.id === id)) continue;
      this.#loaded.delete(id);
      await opener[Symbol.asyncDispose]();
    }
  }

  /** A key that cannot be loaded is passed over: what was sealed to it cannot be opened, all else goes on. */
  async #loadOne(stored: StoredRegistrationKey): Promise<void> {
    const { store, custodies, openerOf, onFailure } = this.#parts;
    const custody = custodies.find(({ kind }) => kind === stored.custody);
    let privateKey: SigningKey;
    try {
      if (custody === undefined) throw noCustody(stored);
      privateKey = await custody.load(stored);
    } catch (error) {
      return onFailure(error);
    }
    const certificate = parseCertificate(stored.certificate);
    // Devices would encrypt their challenges to whoever has put another certificate into the database.
    const isPair = publicKeyInfoOf(privateKey).equals(certificate.publicKeyInfo);
    if (!isPair || certificate.thumbprint !== stored.id) return onFailure(notAPair(stored));
    const responder = { certificate, privateKey };
    // Before it counts as loaded: what fails here is tried again at the next look, and nobody waits for it in vain.
    await store.hold(stored.id);
    this.#loaded.set(stored.id, { responder, opener: openerOf(responder) });
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#isEnded) return;
    this.#timer = setTimeout(() => {
      const isWaiting = this.#parts.clock.now() < this.#retryAt;
      void (isWaiting ? Promise.resolve() : this.renew()).finally(() => this.#schedule());
    }, LOOK_MS);
    this.#timer.unref();
  }
}

function described(certificate: Certificate) {
  return {
    id: certificate.thumbprint,
    certificate: certificate.der,
    notAfter: certificate.notAfter,
    publishedAt: undefined,
    acceptedUntil: undefined,
  };
}

function noCustody({ id, custody }: StoredRegistrationKey): ConnectorError {
  return new ConnectorError(
    "key-unreadable",
    `the RA key ${id.slice(0, 16)} is kept by "${custody}", which this configuration does not have`,
  );
}

function notAPair({ id }: StoredRegistrationKey): ConnectorError {
  return new ConnectorError(
    "key-unreadable",
    `the RA key ${id.slice(0, 16)} of the ledger does not belong to the certificate beside it`,
  );
}
