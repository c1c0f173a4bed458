import { setTimeout as delay } from "node:timers/promises";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import type {
  NotificationState,
  NotificationTarget,
  Notifier,
  SuccessPayload,
} from "../core/notification.ts";
import { NotificationDelivery, type NotificationReport } from "../core/notification-delivery.ts";
import { storeOutbox } from "../store/store-outbox.ts";
import type { CertificateKernel } from "./service.ts";

/** Our own: how often the outbox is looked at, and from what age on a person hears of one that waits. */
const LOOK_MS = 1_000;
const WARN_AFTER_MS = 900_000;
const MAX_LISTED = 1_000;
const MINUTE_MS = 60_000;
const LONGEST_WAIT_MS = 5_000;

export interface NotificationParts {
  readonly notifiers: Readonly<Partial<Record<NotificationTarget["kind"], Notifier>>>;
  readonly revoke: (of: SuccessPayload) => Promise<void>;
  /** Who claims what it sends; no two processes have the same. */
  readonly owner: string;
}

/** Sends what the outbox of this connector holds; `start` also keeps looking for what is due. */
export class Notifications implements AsyncDisposable {
  readonly #kernel: CertificateKernel;
  readonly #owner: string;
  readonly #delivery: NotificationDelivery;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #waiting: WaitingNotifications = { count: 0, oldestMs: 0, message: undefined };

  constructor(kernel: CertificateKernel, { notifiers, revoke, owner }: NotificationParts) {
    this.#kernel = kernel;
    this.#owner = owner;
    const { clock, random } = kernel;
    this.#delivery = new NotificationDelivery({
      outbox: storeOutbox(kernel.store),
      notifiers,
      revoke,
      owner,
      clock,
      random,
      report: (report) => this.#log(report),
    });
  }

  /** What waited when the outbox was last looked at. */
  get waiting(): WaitingNotifications {
    return this.#waiting;
  }

  /** Where it stands after at most five seconds: a device is not kept waiting longer, the outbox goes on by itself. */
  async deliver(id: number): Promise<NotificationState> {
    const answered = new AbortController();
    const { signal } = answered;
    const tooLong = delay(LONGEST_WAIT_MS, "waiting" as const, { signal, ref: false });
    try {
      return await Promise.race([
        this.#delivery.deliver(id),
        tooLong.catch(() => "waiting" as const),
      ]);
    } finally {
      answered.abort();
    }
  }

  /** Takes up what an earlier process of this connector had begun to send. */
  async start(): Promise<void> {
    await this.#kernel.store.run("releaseNotifications", { owner: this.#owner });
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        while (!signal.aborted && (await this.#delivery.deliverDue()));
        this.#waiting = await waitingNotifications(this.#kernel);
      } catch (error) {
        this.#kernel.log.error({ err: error }, "notification.failed");
      }
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #log({ error, ...about }: NotificationReport): void {
    const { log } = this.#kernel;
    if (error === undefined) log.info(about, "notification.accepted");
    else if (error instanceof ConnectorError) {
      const event = about.state === "refused" ? "notification.refused" : "notification.deferred";
      log.warn({ ...about, code: error.code, reason: error.message }, event);
    } else log.error({ ...about, err: error }, "notification.failed");
  }
}

/** A notification that waits or was refused, as a person sees it. */
export interface NotificationSummary {
  readonly id: number;
  readonly state: "waiting" | "refused";
  readonly event: "success" | "failure";
  readonly target: string;
  readonly transactionId: string;
  readonly attempts: number;
  readonly createdAt: number;
  readonly nextAt: number;
  readonly code: string | null;
  readonly message: string | null;
}

/** What waits, oldest first, and what was refused lately; up to 1,000. */
export function listNotifications({
  store,
}: Pick<CertificateKernel, "store">): Promise<NotificationSummary[]> {
  return store.query<NotificationSummary>(
    `SELECT id, state, event, target_kind || ' ' || target_name AS target, transaction_id AS "transactionId", attempts,
       created_at AS "createdAt", next_at AS "nextAt", last_code AS code, last_message AS message
     FROM notification WHERE state IN ('waiting', 'refused') ORDER BY state DESC, id LIMIT ${MAX_LISTED}`,
    [],
    MAX_LISTED,
  );
}

export interface WaitingNotifications {
  readonly count: number;
  /** How long the oldest has waited. */
  readonly oldestMs: number;
  /** Why one of them does. */
  readonly message: string | undefined;
}

async function waitingNotifications({
  store,
  clock,
}: Pick<CertificateKernel, "store" | "clock">): Promise<WaitingNotifications> {
  const [row] = await store.query<{
    waiting: number;
    oldest: number | null;
    message: string | null;
  }>(
    `SELECT count(*) AS waiting, min(created_at) AS oldest, max(last_message) AS message
     FROM notification WHERE state = 'waiting'`,
    [],
    1,
  );
  const oldestMs = clock.now() - (row?.oldest ?? clock.now());
  return { count: row?.waiting ?? 0, oldestMs, message: row?.message ?? undefined };
}

/** How many wait, and since when the oldest does. */
export async function notificationsResult(
  kernel: Pick<CertificateKernel, "store" | "clock">,
): Promise<CheckResult> {
  const { count, oldestMs, message } = await waitingNotifications(kernel);
  const minutes = Math.round(oldestMs / MINUTE_MS);
  const reason =
    count === 0 ? "no notification waits" : `${count} wait, the oldest for ${minutes} minutes`;
  if (oldestMs < WARN_AFTER_MS) return { status: "healthy", reason };
  return {
    status: "warning",
    reason: `${reason}: ${message ?? "no answer yet"}`,
    remedy: "the devices get their certificates after that; see `notifications list`",
  };
}
