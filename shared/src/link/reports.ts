import { createHash } from "node:crypto";
import type { LinkHooks } from "./link-hooks.ts";
import type { LinkLog } from "./link-log.ts";
import type { FromConnector } from "./messages.ts";

/** How often the audit head and the state of health go up. */
export const REPORT_INTERVAL_MS = 60_000;
/** The second report comes sooner: by then the configuration and the commands that waited have been taken in. */
export const SECOND_REPORT_MS = 5_000;
/** The one state stream that every connector has. */
const HEALTH_STREAM = "health";

/** Sends what is not a log: the head of the audit chain, and health as snapshot or, while it is the same, as digest. */
export class Reports {
  readonly #hooks: LinkHooks;
  readonly #log: LinkLog;
  readonly #send: (message: FromConnector) => void;
  #nextAt: number | undefined;
  #digest = "";
  #version = 0;
  #headHash = "";

  constructor(options: {
    readonly hooks: LinkHooks;
    readonly log: LinkLog;
    readonly send: (message: FromConnector) => void;
  }) {
    this.#hooks = options.hooks;
    this.#log = options.log;
    this.#send = options.send;
  }

  /** When the next report is due by `performance.now()`; undefined for the first, which is due at once. */
  get nextAt(): number | undefined {
    return this.#nextAt;
  }

  /** Sends what is due. */
  async tick(): Promise<void> {
    const now = performance.now();
    if (now < (this.#nextAt ?? now)) return;
    this.#nextAt = now + (this.#nextAt === undefined ? SECOND_REPORT_MS : REPORT_INTERVAL_MS);
    // At the same time, so that they wake the store once for both.
    await Promise.all([this.health(false), this.#auditHead()]);
  }

  /** Sends the health snapshot where it has changed or `isForced`, its digest else. */
  async health(isForced: boolean): Promise<void> {
    const snapshot = await this.#asked("health", () => this.#hooks.health());
    if (snapshot === undefined) return;
    const digest = createHash("sha256").update(JSON.stringify(snapshot)).digest("hex");
    const isSame = digest === this.#digest && !isForced;
    if (!isSame) this.#version += 1;
    this.#digest = digest;
    const heartbeat = { stream: HEALTH_STREAM, version: this.#version, digest };
    this.#send({ type: "state", ...heartbeat, ...(!isSame && { snapshot }) });
  }

  async #auditHead(): Promise<void> {
    const head = await this.#asked("audit-head", () => this.#hooks.auditHead());
    if (head === undefined || head.hash === this.#headHash) return;
    this.#headHash = head.hash;
    this.#send({ type: "audit-head", index: head.index, hash: head.hash });
  }

  /** A report that cannot be made is no reason to give up the link. */
  async #asked<T>(report: string, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      this.#log.warn({ report, err: error }, "link.report-failed");
      return undefined;
    }
  }
}
