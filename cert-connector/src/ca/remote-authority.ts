import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { signatureAlgorithmFor } from "@isthmus/shared/x509/signature";
import type { Issuer } from "../core/issuer.ts";
import type { CertificateAuthority, IssuanceAnswer, IssuanceOrder } from "../core/ports.ts";
import { refused, unavailable } from "./remote-answer.ts";
import { type RemoteBackEnd, remoteOrder } from "./remote-order.ts";

/** Our own limit on everything that one order takes; the order's lease in the ledger is longer. */
const ORDER_TIMEOUT_MS = 45_000;

export interface RemoteAuthorityParts {
  readonly name: string;
  readonly labels: readonly string[];
  /** The issuing certificate first, then the way to its root. */
  readonly chain: readonly [Certificate, ...Certificate[]];
  readonly backEnd: RemoteBackEnd;
  readonly probeEveryMs: number;
  readonly clock: Clock;
}

/**
 * A certification authority elsewhere: what all of them have in common. It knows from its last contact, an order or a
 * probe, whether there is any use in asking.
 */
export class RemoteAuthority implements CertificateAuthority, Disposable {
  readonly kind = "remote";
  readonly name: string;
  readonly labels: readonly string[];
  readonly #parts: RemoteAuthorityParts;
  readonly #issuer: Issuer;
  readonly #stop = new AbortController();
  #trouble: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #probing: Promise<void> | undefined;

  constructor(parts: RemoteAuthorityParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.labels = parts.labels;
    this.#issuer = issuerOf(parts.chain);
  }

  /** Asks for its health from now on. The timer keeps no process alive. */
  start(): void {
    this.#timer ??= setInterval(() => void this.probe(), this.#parts.probeEveryMs).unref();
    void this.probe();
  }

  issuer(): Issuer {
    return this.#issuer;
  }

  obstacle(): string | undefined {
    const { certificate } = this.#issuer;
    if (certificate.notAfter <= this.#parts.clock.now()) {
      return "its issuing certificate in issuerFile has expired";
    }
    return this.#trouble;
  }

  async issue(order: IssuanceOrder, signal?: AbortSignal): Promise<IssuanceAnswer> {
    const { certificationRequest, issuerKeyId } = order;
    if (certificationRequest === undefined) {
      return refused("request-missing", "the certification request was not kept");
    }
    if (issuerKeyId !== this.#issuer.keyId) {
      return refused("issuer-gone", `issuer ${issuerKeyId} was replaced before it answered`);
    }
    const read = remoteOrder(
      { ...order, certificationRequest },
      this.#issuer,
      this.#limited(ORDER_TIMEOUT_MS, signal),
    );
    try {
      return await this.#contact(() => this.#parts.backEnd.issue(read));
    } catch (error) {
      return refusalOf(error);
    }
  }

  async revoke(of: {
    readonly serialNumber: string;
    readonly reason: RevocationReason;
    readonly certificate: Uint8Array;
  }): Promise<void> {
    const certificate = parseCertificate(of.certificate);
    const signal = this.#limited(ORDER_TIMEOUT_MS);
    await this.#contact(() =>
      this.#parts.backEnd.revoke({ certificate, reason: of.reason, signal }),
    );
  }

  /** Asks for its health now. What is wrong shows as the obstacle. */
  async probe(): Promise<void> {
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined;
    });
    await this.#probing;
  }

  async #probe(): Promise<void> {
    try {
      const told = await this.#parts.backEnd.probe(this.#limited(ORDER_TIMEOUT_MS));
      this.#trouble = this.#strangerAmong(told);
    } catch (error) {
      this.#trouble = error instanceof ConnectorError ? error.message : "its health is not known";
    }
  }

  /** Signed by another certificate than ours nothing would pass the comparison. */
  #strangerAmong(told: readonly Certificate[]): string | undefined {
    const { certificate } = this.#issuer;
    const isOurs = told.some(({ der }) => der.equals(certificate.der));
    if (told.length === 0 || isOurs) return undefined;
    return "it issues with another certificate than the one in issuerFile";
  }

  async #contact<Result>(act: () => Promise<Result>): Promise<Result> {
    try {
      const result = await act();
      this.#trouble = undefined;
      return result;
    } catch (error) {
      if (isTrouble(error)) this.#trouble = error.message;
      throw error;
    }
  }

  #limited(timeoutMs: number, signal?: AbortSignal): AbortSignal {
    const signals = [this.#stop.signal, AbortSignal.timeout(timeoutMs)];
    return AbortSignal.any(signal === undefined ? signals : [...signals, signal]);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#stop.abort();
    this.#parts.backEnd[Symbol.dispose]();
  }
}

function issuerOf(chain: RemoteAuthorityParts["chain"]): Issuer {
  const [certificate] = chain;
  const keyIdentifier =
    certificate.subjectKeyIdentifier ?? keyIdentifierOf(certificate.publicKeyInfo);
  return {
    keyId: keyIdentifier.toString("hex"),
    certificate,
    chain,
    signatureAlgorithm: signatureAlgorithmFor(certificate.publicKey()),
  };
}

/** Whether the authority is to blame rather than this one request. */
function isTrouble(error: unknown): error is ConnectorError {
  return error instanceof ConnectorError && (error.isRetryable || error.code === "ca-credentials");
}

/**
 * An answer that nobody can read is final for its order: asked again each time the device polls, the authority would make
 * one certificate after another. What we may not do (`ca-credentials`) is put right by a person while the device waits.
 */
function refusalOf(error: unknown): IssuanceAnswer {
  if (!(error instanceof ConnectorError) || error.isRetryable) throw error;
  if (error.code === "ca-credentials") throw unavailable(error.message, error);
  return refused(error.code === "http-answer-too-large" ? "ca-answer" : error.code, error.message);
}
