import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { codeOf } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { type CertificateList, parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { acceptList, derOfList, newlyRevoked } from "../core/certificate-lists.ts";
import { issuerIdOf, type PeerCertificate, type TrustAnchor } from "../core/identity.ts";
import { acceptAnswer, ocspRequestFor } from "../core/ocsp.ts";
import type {
  RevocationAsker,
  RevocationPlaces,
  RevocationSource,
  RevocationStore,
} from "../core/ports.ts";
import type { RevocationKnowledge } from "../core/revocation.ts";

/** Own limits: answers fetched at once, and how soon a failed list is tried again. */
const MAX_QUESTIONS = 64;
const RETRY_MS = 30_000;
const NONCE_BYTES = 16;

export interface RevocationServiceOptions {
  readonly source: RevocationSource;
  readonly store: RevocationStore;
  readonly knowledge: RevocationKnowledge;
  readonly clock: Clock;
  readonly random: Random;
  readonly anchors: () => ReadonlyMap<string, TrustAnchor>;
  readonly places: () => readonly RevocationPlaces[];
  /** Between two rounds, ms. */
  readonly refreshMs: () => number;
  /** Certificates under which connections are open. */
  readonly openCertificates: () => readonly PeerCertificate[];
  /** Keys (`PeerCertificate.key`) of certificates that are revoked as of now. */
  readonly onRevoked: (certificateKeys: readonly string[]) => void;
  readonly onFailure: (failure: RevocationFailure) => void;
}

export interface RevocationFailure {
  readonly anchor: string;
  readonly url: string;
  readonly code: string;
  readonly message: string;
  /** ms since the epoch. */
  readonly at: number;
}

/** Keeps what is known of revocations fresh: lists in rounds, answers when they are needed and in rounds after that. */
export class RevocationService implements RevocationAsker, AsyncDisposable {
  readonly #options: RevocationServiceOptions;
  readonly #stop = new AbortController();
  readonly #questions = new Map<string, Promise<void>>();
  /** The last failure of each place, gone with its next success. */
  readonly #failures = new Map<string, RevocationFailure>();
  #round: Promise<void> = Promise.resolve();
  #loop: Promise<void> = Promise.resolve();

  constructor(options: RevocationServiceOptions) {
    this.#options = options;
  }

  /** The present failures of places, for the health checks. */
  get failures(): readonly RevocationFailure[] {
    return [...this.#failures.values()];
  }

  /** Takes up what the store kept and goes on in the background, at once with a first round. */
  async start(): Promise<void> {
    await this.#restore();
    this.#loop = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  /** One round now, after the one under way: every list, and answers about open connections. */
  refresh(): Promise<void> {
    this.#round = this.#round.then(() => this.#refreshAll());
    return this.#round;
  }

  /** As `refresh`, and no answer that was asked for before counts any longer, also about devices that are not connected. */
  refreshFromScratch(): Promise<void> {
    this.#round = this.#round.then(async () => {
      await Promise.all(this.#questions.values());
      this.#options.knowledge.forgetGoodAnswers();
      await this.#refreshAll();
    });
    return this.#round;
  }

  /** Fetches an answer about one certificate; questions about the same one share it. */
  async ask(certificate: PeerCertificate): Promise<void> {
    const place = this.#placesOf(certificate.anchor);
    if (!place?.responder || this.#isSpared(place, place.responder)) return;
    await this.#askOnce(certificate, place.responder);
  }

  /** A responder that just failed holds up no connection that can be judged by a list; the next round asks it again. */
  #isSpared(place: RevocationPlaces, responder: URL): boolean {
    const failedAt = this.#failures.get(responder.href)?.at ?? Number.NEGATIVE_INFINITY;
    return place.lists.length > 0 && this.#options.clock.now() - failedAt < RETRY_MS;
  }

  async #askOnce(certificate: PeerCertificate, responder: URL): Promise<void> {
    const underWay = this.#questions.get(certificate.key);
    if (this.#questions.size >= MAX_QUESTIONS) return underWay;
    const question = underWay ?? this.#ask(certificate, responder);
    this.#questions.set(certificate.key, question);
    await question;
    this.#questions.delete(certificate.key);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.refresh();
      await this.#pause();
    }
  }

  /** Ends early when the service stops. */
  async #pause(): Promise<void> {
    const { signal } = this.#stop;
    const refreshMs = this.#options.refreshMs();
    const pauseMs = this.#failures.size > 0 ? Math.min(refreshMs, RETRY_MS) : refreshMs;
    await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
  }

  async #refreshAll(): Promise<void> {
    const lists = this.#options
      .places()
      .flatMap((place) => place.lists.map((url) => this.#refreshList(place.anchor, url)));
    const answers = this.#options.openCertificates().flatMap((certificate) => {
      const responder = this.#placesOf(certificate.anchor)?.responder;
      return responder ? [() => this.#askOnce(certificate, responder)] : [];
    });
    await Promise.all([...lists, inTurns(answers, MAX_QUESTIONS)]);
  }

  async #refreshList(anchorName: string, url: URL): Promise<void> {
    const anchor = this.#options.anchors().get(anchorName);
    if (!anchor) return;
    const { source, clock, knowledge } = this.#options;
    try {
      const bytes = await source.fetchList(url, this.#stop.signal);
      const held = (issuer: Certificate) => knowledge.listOf(issuerIdOf(issuer))?.list;
      const now = clock.now();
      const { list, issuer } = acceptList(derOfList(bytes), anchor.authorities, held, now);
      await this.#keepList(anchorName, issuer, list, now);
      this.#failures.delete(url.href);
    } catch (error) {
      this.#fail(anchorName, url, error);
    }
  }

  async #keepList(
    anchor: string,
    issuer: Certificate,
    list: CertificateList,
    confirmedAt: number,
  ): Promise<void> {
    const { knowledge, store } = this.#options;
    const issuerId = issuerIdOf(issuer);
    const former = knowledge.listOf(issuerId)?.list;
    const isSame = former?.der.equals(list.der) === true;
    knowledge.putList(issuer, { list: isSame ? former : list, confirmedAt });
    if (isSame) return store.confirm(issuerId, confirmedAt);
    const revoked = newlyRevoked(list, former);
    if (revoked.length > 0) this.#options.onRevoked(revoked.map((one) => `${issuerId}:${one}`));
    const number = String(list.crlNumber ?? "none");
    const kept = { issuerId, anchor, der: list.der, confirmedAt };
    return store.put({ ...kept, number, entries: list.revoked.size });
  }

  async #ask(certificate: PeerCertificate, responder: URL): Promise<void> {
    const { source, random, clock, knowledge } = this.#options;
    try {
      const nonce = random.bytes(NONCE_BYTES);
      const request = ocspRequestFor(certificate, nonce);
      const bytes = await source.askResponder(responder, request, this.#stop.signal);
      const answer = acceptAnswer(bytes, certificate, nonce, clock.now());
      knowledge.putAnswer(certificate.key, answer);
      this.#failures.delete(responder.href);
      if (answer.status !== "good") this.#options.onRevoked([certificate.key]);
    } catch (error) {
      this.#fail(certificate.anchor, responder, error);
    }
  }

  async #restore(): Promise<void> {
    const anchors = this.#options.anchors();
    for (const kept of await this.#options.store.load()) {
      const authorities = anchors.get(kept.anchor)?.authorities ?? [];
      const issuer = authorities.find((authority) => issuerIdOf(authority) === kept.issuerId);
      if (!issuer) continue;
      const list = parseCertificateList(kept.der);
      this.#options.knowledge.putList(issuer, { list, confirmedAt: kept.confirmedAt });
    }
  }

  #placesOf(anchor: string): RevocationPlaces | undefined {
    return this.#options.places().find((place) => place.anchor === anchor);
  }

  #fail(anchor: string, url: URL, error: unknown): void {
    if (this.#stop.signal.aborted) return;
    const message = error instanceof Error ? error.message : "unknown";
    const at = this.#options.clock.now();
    const failure = { anchor, url: url.href, code: codeOf(error), message, at };
    this.#failures.set(url.href, failure);
    this.#options.onFailure(failure);
  }
}

async function inTurns(tasks: readonly (() => Promise<void>)[], width: number): Promise<void> {
  const rest = tasks.values();
  const worker = async () => {
    for (const task of rest) await task();
  };
  await Promise.all(Array.from({ length: Math.min(width, tasks.length) }, worker));
}
