import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf, RefusalError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import type {
  ClaimedNotification,
  NotificationOutbox,
  NotificationState,
  NotificationTarget,
  Notifier,
  SuccessPayload,
} from "./notification.ts";

/** Our own limits. */
const CLAIM_MS = 90_000;
const MAX_AT_ONCE = 8;
const FIRST_SPAN_MS = 1_000;
const LONGEST_SPAN_MS = 900_000;
const LONGEST_WISH_MS = 3_600_000;
/** A device that got no answer for this long has asked for another certificate. */
export const MAX_AGE_MS = 7 * 86_400_000;

/** What became of one attempt, for log and counters. */
export interface NotificationReport {
  readonly id: number;
  readonly target: NotificationTarget;
  readonly event: ClaimedNotification["event"];
  readonly transactionId: string;
  readonly state: NotificationState;
  readonly error?: unknown;
}

export interface NotificationDeliveryParts {
  readonly outbox: NotificationOutbox;
  readonly notifiers: Readonly<Partial<Record<NotificationTarget["kind"], Notifier>>>;
  /** Takes back a certificate that its target will not hear of. Called again after a crash. */
  readonly revoke: (of: SuccessPayload) => Promise<void>;
  /** Who claims: one process or replica. */
  readonly owner: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: (report: NotificationReport) => void;
}

/**
 * Sends what waits in the outbox, at least once each. A notification that is refused for good takes its certificate with
 * it: nobody would know of that one, and nobody could have it revoked.
 */
export class NotificationDelivery {
  readonly #parts: NotificationDeliveryParts;

  constructor(parts: NotificationDeliveryParts) {
    this.#parts = parts;
  }

  /** Sends one now if it is due, and tells where it stands then. */
  async deliver(id: number): Promise<NotificationState> {
    const [claimed] = await this.#claim(1, id);
    return claimed === undefined ? await this.#parts.outbox.stateOf(id) : await this.#send(claimed);
  }

  /** Sends some of what is due; whether there may be more. */
  async deliverDue(): Promise<boolean> {
    const claimed = await this.#claim(MAX_AT_ONCE, undefined);
    await Promise.all(claimed.map((each) => this.#send(each)));
    return claimed.length === MAX_AT_ONCE;
  }

  #claim(max: number, id: number | undefined): Promise<readonly ClaimedNotification[]> {
    const { outbox, owner, clock } = this.#parts;
    const at = clock.now();
    return outbox.claim({ id, owner, at, until: at + CLAIM_MS, max });
  }

  async #send(claimed: ClaimedNotification): Promise<NotificationState> {
    try {
      await this.#notify(claimed);
      await this.#parts.outbox.accepted({ ...claimOf(claimed), at: this.#parts.clock.now() });
      return this.#reported(claimed, "accepted");
    } catch (error) {
      return error instanceof RefusalError
        ? await this.#refused(claimed, error)
        : await this.#deferred(claimed, error);
    }
  }

  async #notify({ target, createdAt, ...content }: ClaimedNotification): Promise<void> {
    if (this.#parts.clock.now() - createdAt > MAX_AGE_MS) {
      throw new RefusalError(
        "notification-expired",
        "outbox.age",
        `${target.kind} ${target.name} could not be told for ${MAX_AGE_MS / 86_400_000} days`,
      );
    }
    const notifier = this.#parts.notifiers[target.kind];
    if (notifier === undefined) {
      throw new ConnectorError("notifier-missing", `nothing here tells a target of ${target.kind}`);
    }
    await notifier.notify(content, target);
  }

  async #refused(claimed: ClaimedNotification, error: RefusalError): Promise<NotificationState> {
    try {
      if (claimed.event === "success") await this.#parts.revoke(claimed.payload);
    } catch (cause) {
      return await this.#deferred(claimed, cause);
    }
    const { code, rule, message } = error;
    const at = this.#parts.clock.now();
    await this.#parts.outbox.refused({ ...claimOf(claimed), at, code, rule, message });
    return this.#reported(claimed, "refused", error);
  }

  async #deferred(claimed: ClaimedNotification, error: unknown): Promise<NotificationState> {
    const nextAt = this.#parts.clock.now() + this.#waitMs(claimed.attempts, error);
    const message = error instanceof ConnectorError ? error.message : "internal error; see the log";
    const code = codeOf(error);
    await this.#parts.outbox.deferred({ ...claimOf(claimed), nextAt, code, message });
    return this.#reported(claimed, "waiting", error);
  }

  /** Half of a span that doubles with each attempt, and up to the whole of it by chance; longer where the target says so. */
  #waitMs(attempts: number, error: unknown): number {
    const span = Math.min(LONGEST_SPAN_MS, FIRST_SPAN_MS * 2 ** Math.min(attempts, 16));
    const fraction = this.#parts.random.bytes(4).readUInt32BE() / 2 ** 32;
    const wish = Math.min(wishOf(error), LONGEST_WISH_MS);
    return Math.max(span / 2, wish) + (fraction * span) / 2;
  }

  #reported(
    claimed: ClaimedNotification,
    state: NotificationState,
    error?: unknown,
  ): NotificationState {
    const { id, target, event, payload } = claimed;
    const { transactionId } = payload;
    this.#parts.report({ id, target, event, transactionId, state, error });
    return state;
  }
}

function claimOf({ id, epoch }: ClaimedNotification) {
  return { id, epoch };
}

function wishOf(error: unknown): number {
  const wish =
    error instanceof Error && "retryAfterMs" in error ? Number(error.retryAfterMs) : Number.NaN;
  return Number.isFinite(wish) ? wish : 0;
}
