import { setTimeout as delay } from "node:timers/promises";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import type { NotificationTarget, Notifier, SuccessPayload } from "../core/notification.ts";
import { NotificationDelivery, type NotificationReport } from "../core/notification-delivery.ts";
import { storeOutbox } from "../store/store-outbox.ts";
import type { CertificateKernel } from "./service.ts";

/** Our own: how often the outbox is looked at, and from what age on a person hears of one that waits. */
const LOOK_MS = 1_000;
const WARN_AFTER_MS = 900_000;
const MAX_LISTED = 1_000;

export interface NotificationParts {
  readonly notifiers: Readonly<Partial<Record<NotificationTarget["kind"], Notifier>>>;
  readonly revoke: (of: SuccessPayload) => Promise<void>;
}

/** Sends what the outbox of this connector holds; `start` also keeps looking for what is due. */
export class Notifications implements AsyncDisposable {
  readonly #kernel: CertificateKernel;
  readonly #delivery: NotificationDelivery;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(kernel: CertificateKernel, { notifiers, revoke }: NotificationParts) {
    this.#kernel = kernel;
    const { clock, random } = kernel;
    this.#delivery = new NotificationDelivery({
      outbox: storeOutbox(kernel.store),
      notifiers,
      revoke,
      owner: this.#owner,
      clock,
      random,
      report: (report) => this.#log(report),
    });
  }

  deliver(id: number) {
    return this.#delivery.deliver(id);
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

  get #owner(): string {
    return this.#kernel.connectorId;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        while (!signal.aborted && (await this.#delivery.deliverDue()));
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

/** How many wait, and since when the oldest does. */
export async function notificationsResult({
  store,
  clock,
}: Pick<CertificateKernel, "store" | "clock">): Promise<CheckResult> {
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
  const waiting = row?.waiting ?? 0;
  const ageMs = clock.now() - (row?.oldest ?? clock.now());
  const reason =
    waiting === 0
      ? "no notification waits"
      : `${waiting} wait, the oldest for ${Math.round(ageMs / 60_000)} minutes`;
  if (ageMs < WARN_AFTER_MS) return { status: "healthy", reason };
  return {
    status: "warning",
    reason: `${reason}: ${row?.message ?? "no answer yet"}`,
    remedy: "the devices get their certificates after that; see `notifications list`",
  };
}
