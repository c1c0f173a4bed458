import type { TracedMessage, TraceStep } from "./enrolment-trace.ts";
import { explanationOf } from "./explanations.ts";

/** What the ledger holds of one enrolment, as far as a trace shows it. Times are ms. */
export interface LedgerTrace {
  readonly state: string;
  readonly profileId: string;
  readonly deviceId?: string;
  readonly subject: string;
  readonly serialNumber?: string;
  readonly issuer?: string;
  readonly authority?: string;
  readonly requestedAt: number;
  readonly decidedBy?: string;
  readonly intentAt?: number;
  readonly askedAt?: number;
  readonly issuedAt?: number;
  readonly revokedAt?: number;
  readonly revocationReason?: string;
}

/** What the outbox holds of it. */
export interface NotificationTrace {
  readonly event: string;
  readonly target: string;
  readonly state: string;
  readonly attempts: number;
  readonly createdAt: number;
  readonly endedAt?: number;
  readonly code?: string;
  readonly message?: string;
}

export interface TraceEvent {
  readonly at: number;
  readonly what: string;
  readonly outcome: "ok" | "failed" | "waiting";
  readonly milliseconds?: number;
  readonly detail?: string;
}

/** In a sentence: how it stands, why, and what to do. */
export interface TraceVerdict {
  readonly outcome: "issued" | "waiting" | "failed" | "revoked";
  readonly sentence: string;
  readonly code?: string;
  readonly cause?: string;
  readonly remedy?: string;
}

/** All that is known of one transaction, in the order of time. */
export interface TransactionTrace {
  readonly transactionId: string;
  readonly profileId?: string;
  readonly deviceId?: string;
  readonly subject?: string;
  readonly serialNumber?: string;
  readonly issuer?: string;
  readonly verdict: TraceVerdict;
  readonly events: readonly TraceEvent[];
}

export interface TraceParts {
  readonly transactionId: string;
  readonly messages: readonly TracedMessage[];
  readonly ledger: LedgerTrace | undefined;
  readonly notifications: readonly NotificationTrace[];
}

/** Steps as a person reads them. */
const STEP_TEXTS: Readonly<Record<TraceStep, string>> = {
  message: "message read",
  queued: "waited for its turn",
  signature: "signature verified",
  envelope: "envelope opened",
  standing: "ledger asked for the same request",
  challenge: "challenge checked",
  directory: "directory asked",
  plan: "certificate planned",
  guard: "guardrails asked",
  lint: "planned certificate linted",
  pending: "kept for approval",
  intent: "intent stored",
  authority: "CA asked",
  stored: "certificate stored",
  notified: "validator notified",
  answered: "device answered",
};

/** Puts messages, ledger and outbox of one transaction together. */
export function transactionTrace(parts: TraceParts): TransactionTrace {
  const { transactionId, messages, ledger, notifications } = parts;
  const events = [
    ...messages.flatMap(messageEvents),
    ...(ledger === undefined ? [] : ledgerEvents(ledger, messages)),
    ...notifications.flatMap(notificationEvents),
  ].toSorted((one, other) => one.at - other.at);
  const profileId = ledger?.profileId ?? messages[0]?.profileId;
  const deviceId = ledger?.deviceId ?? messages.find((each) => each.deviceId)?.deviceId;
  return {
    transactionId,
    ...(profileId !== undefined && { profileId }),
    ...(deviceId !== undefined && { deviceId }),
    ...(ledger && { subject: ledger.subject }),
    ...(ledger?.serialNumber !== undefined && { serialNumber: ledger.serialNumber }),
    ...(ledger?.issuer !== undefined && { issuer: ledger.issuer }),
    verdict: verdictOf(parts),
    events,
  };
}

function messageEvents(message: TracedMessage): TraceEvent[] {
  const { at, capabilitiesAt, certificatesAt } = message;
  return [
    ...askedBefore("GetCACaps", capabilitiesAt),
    ...askedBefore("GetCACert", certificatesAt),
    { at, what: `${message.messageType} received`, outcome: "ok" },
    ...stepEvents(message),
  ];
}

function askedBefore(what: string, at: number | undefined): TraceEvent[] {
  if (at === undefined) return [];
  return [{ at, what, outcome: "ok", detail: "by the same address, shortly before" }];
}

/** Where it ended stands the error: the answer is signed after a failure too, so that is the step before it. */
function stepEvents({ at, steps, status, failure }: TracedMessage): TraceEvent[] {
  const end = steps.length - (steps.at(-1)?.[0] === "answered" && steps.length > 1 ? 2 : 1);
  let passed = 0;
  return steps.map(([step, microseconds], index) => {
    passed += microseconds;
    const about = {
      at: at + Math.round(passed / 1_000),
      what: STEP_TEXTS[step],
      milliseconds: microseconds / 1_000,
    };
    if (index !== end) return { ...about, outcome: "ok" };
    return failure === undefined
      ? { ...about, outcome: status === "PENDING" ? "waiting" : "ok" }
      : { ...about, outcome: "failed", detail: `${failure.code}: ${failure.message}` };
  });
}

/** What no message tells: decided by a person, completed after a crash, revoked. */
function ledgerEvents(ledger: LedgerTrace, messages: readonly TracedMessage[]): TraceEvent[] {
  const told = new Set(messages.flatMap(({ steps }) => steps.map(([step]) => step)));
  const { intentAt, askedAt, issuedAt, revokedAt, decidedBy, authority } = ledger;
  const event = (at: number | undefined, what: string, detail?: string): TraceEvent[] =>
    at === undefined ? [] : [{ at, what, outcome: "ok", ...(detail !== undefined && { detail }) }];
  return [
    ...(messages.length === 0 ? event(ledger.requestedAt, "request stored in the ledger") : []),
    ...(told.has("intent") ? [] : event(intentAt, STEP_TEXTS.intent, decided(decidedBy))),
    ...event(askedAt, "remote CA asked first", authority),
    ...(told.has("stored") ? [] : event(issuedAt, STEP_TEXTS.stored)),
    ...event(revokedAt, "certificate revoked", ledger.revocationReason),
  ];
}

function decided(by: string | undefined): string | undefined {
  return by === undefined ? undefined : `approved: ${by}`;
}

function notificationEvents(notification: NotificationTrace): TraceEvent[] {
  const { event, target, state, attempts, createdAt, endedAt, code, message } = notification;
  const about = `${event} to ${target}`;
  const trouble = code === undefined ? "" : `; ${code}: ${message ?? ""}`;
  const begun: TraceEvent = {
    at: createdAt,
    what: "notification put into the outbox",
    outcome: state === "waiting" || state === "planned" ? "waiting" : "ok",
    detail: `${about}, ${attempts} attempts${trouble}`,
  };
  if (endedAt === undefined) return [begun];
  const outcome = state === "refused" ? "failed" : "ok";
  return [begun, { at: endedAt, what: `notification ${state}`, outcome, detail: about + trouble }];
}

function verdictOf({ messages, ledger, notifications }: TraceParts): TraceVerdict {
  const last = messages.toSorted((one, other) => one.at - other.at).at(-1);
  if (ledger?.revokedAt !== undefined) {
    const reason = ledger.revocationReason ?? "unspecified";
    return {
      outcome: "revoked",
      sentence: `The certificate was issued and is revoked (${reason}).`,
    };
  }
  if (last?.failure !== undefined) return failedVerdict(last.failure);
  if (last?.status === "SUCCESS") {
    return {
      outcome: "issued",
      sentence: "The certificate was issued, and the device was answered.",
    };
  }
  if (ledger === undefined) {
    return { outcome: "waiting", sentence: "The device was told to wait; the ledger has nothing." };
  }
  return standingVerdict(ledger, notifications);
}

function failedVerdict(failure: NonNullable<TracedMessage["failure"]>): TraceVerdict {
  const { code, message } = failure;
  const { cause, remedy } = explanationOf(code);
  return { outcome: "failed", sentence: message, code, cause, remedy };
}

function standingVerdict(
  ledger: LedgerTrace,
  notifications: readonly NotificationTrace[],
): TraceVerdict {
  const open = notifications.find(({ state }) => state === "waiting");
  if (open !== undefined) {
    const why = open.code === undefined ? "" : ` (${open.code}: ${open.message ?? ""})`;
    return {
      outcome: "waiting",
      sentence: `The certificate is issued, but ${open.target} has not taken the notification${why}; the device gets it after that.`,
      ...(open.code !== undefined && { code: open.code, ...explanationOf(open.code) }),
    };
  }
  switch (ledger.state) {
    case "pending":
      return {
        outcome: "waiting",
        sentence: "The request waits for a person.",
        remedy: "`cert-connector request list`, then `request approve` or `request reject`",
      };
    case "rejected":
      return failedVerdict({ code: "request-rejected", message: "A person rejected the request." });
    case "refused":
      return failedVerdict({ code: "ca-refused", message: "The CA refused the request." });
    case "intent":
      return {
        outcome: "waiting",
        sentence: `The intent is stored, and ${ledger.authority ?? "the CA"} has not signed yet; it is asked again every minute and at the device's next poll.`,
        remedy:
          "`status` says why a CA cannot sign, and what to do; else somebody has to approve the request there",
      };
    default:
      return { outcome: "issued", sentence: "The certificate was issued." };
  }
}
