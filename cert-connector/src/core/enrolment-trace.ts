/**
 * What happened to one message of a device, step by step:
 *
 *     (GetCACaps, GetCACert) -> message -> signature -> envelope -> challenge -> plan -> guard -> lint -> intent
 *         -> authority -> stored -> notified -> answered
 *
 * Steps that a message does not come to are absent. The step at which it ended carries the error.
 */
export type TraceStep =
  | "message"
  | "queued"
  | "signature"
  | "envelope"
  | "standing"
  | "challenge"
  | "directory"
  | "plan"
  | "guard"
  | "lint"
  | "pending"
  | "intent"
  | "authority"
  | "stored"
  | "notified"
  | "answered";

/** A step and how long it took, in microseconds. */
export type TracedStep = readonly [step: TraceStep, microseconds: number];

/** Told at each step where a message has come to. */
export interface StepTrace {
  enter(step: TraceStep): void;
  /** The device is known now. */
  identify(deviceId: string | undefined): void;
}

/** Measures the steps of one message: each lasts until the next is entered. Bounded by the steps that there are. */
export class MessageTrace implements StepTrace {
  readonly #elapsedMs: () => number;
  readonly #steps: (readonly [TraceStep, number])[] = [];
  #current: TraceStep;
  #since: number;
  #deviceId: string | undefined;

  /** `elapsedMs` is a clock that only goes forward, with fractions of a millisecond. */
  constructor(elapsedMs: () => number, first: TraceStep = "message") {
    this.#elapsedMs = elapsedMs;
    this.#current = first;
    this.#since = elapsedMs();
  }

  enter(step: TraceStep): void {
    if (step === this.#current || this.#steps.length >= MAX_STEPS) return;
    const now = this.#elapsedMs();
    this.#steps.push([this.#current, microseconds(now - this.#since)]);
    this.#current = step;
    this.#since = now;
  }

  identify(deviceId: string | undefined): void {
    this.#deviceId = deviceId;
  }

  get deviceId(): string | undefined {
    return this.#deviceId;
  }

  /** All steps, the one that goes on among them. */
  steps(): readonly TracedStep[] {
    return [...this.#steps, [this.#current, microseconds(this.#elapsedMs() - this.#since)]];
  }
}

/** Own limit: no way through an enrolment has more. */
const MAX_STEPS = 30;

function microseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1_000));
}

/** One message as it is kept: no challenge, no key, no address, nothing of the person that the ledger does not hold. */
export interface TracedMessage {
  readonly transactionId: string;
  readonly profileId: string;
  /** PKCSReq, RenewalReq, CertPoll and so on. */
  readonly messageType: string;
  readonly status: "SUCCESS" | "PENDING" | "FAILURE";
  /** When it came in, ms. */
  readonly at: number;
  readonly steps: readonly TracedStep[];
  readonly failure?: { readonly code: string; readonly rule?: string; readonly message: string };
  /** When the same address asked for these shortly before, ms. */
  readonly capabilitiesAt?: number;
  readonly certificatesAt?: number;
  /** Of a failure that came after the challenge; a certificate's is in the ledger. */
  readonly deviceId?: string;
}

/** Keeps messages for who asks later. */
export interface TraceSink {
  keep(message: TracedMessage): void;
}
