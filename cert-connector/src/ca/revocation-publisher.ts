import type { Clock } from "@isthmus/shared/clock";
import type { PublishedList, RevocationLedger } from "../core/revocation-ledger.ts";
import type { EmbeddedAuthority } from "./embedded-authority.ts";

const HOUR_MS = 3_600_000;
/** After a failure (store busy, clock behind) the next attempt comes this much later. */
const RETRY_MS = 10_000;
/** Timers of Node overflow past 24.8 days; a look once a day is enough. */
const LONGEST_WAIT_MS = 86_400_000;

export interface RevocationPublisherParts {
  readonly authority: EmbeddedAuthority;
  readonly ledger: RevocationLedger;
  readonly clock: Clock;
  /** Of the configuration in force. */
  readonly schedule: () => { readonly periodHours: number; readonly overlapHours: number };
  readonly onFailure: (error: unknown) => void;
  readonly onPublished: (list: PublishedList) => void;
}

/**
 * Keeps a signed revocation list in force: a new one each period, and one right after a revocation. At most one is being
 * made; revocations that come meanwhile share the next.
 */
export class RevocationPublisher implements AsyncDisposable {
  readonly #parts: RevocationPublisherParts;
  #current: PublishedList | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The last attempt failed: what was revoked since is not on the list yet. */
  #isBehind = false;
  #isEnded = false;

  constructor(parts: RevocationPublisherParts) {
    this.#parts = parts;
  }

  /** The list in force; undefined before `start`. */
  get current(): PublishedList | undefined {
    return this.#current;
  }

  /**
   * Takes up the stored list and makes a new one, because a crash may have come between a revocation and its list. Where
   * that fails, the stored one stays in force and the attempt is repeated.
   */
  async start(): Promise<void> {
    const { authority, ledger } = this.#parts;
    this.#current = await ledger.currentList(authority.issuer().keyId);
    await this.refresh().catch(() => undefined);
  }

  /** Takes up a newer list that another replica has signed. */
  async adoptNewer(): Promise<void> {
    const { authority, ledger } = this.#parts;
    const newest = await ledger.currentList(authority.issuer().keyId, this.#current?.number);
    if (newest === undefined || newest.number <= (this.#current?.number ?? 0)) return;
    this.#current = newest;
    this.reschedule();
  }

  /** Looks at the schedule again, after it was changed. */
  reschedule(): void {
    if (this.#running === undefined) this.#schedule();
  }

  /** Resolves once a list that holds all revocations made before this call is in force. */
  refresh(): Promise<void> {
    if (this.#running === undefined) return this.#run();
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#run();
      });
    return this.#next;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    await Promise.allSettled([this.#running, this.#next]);
  }

  #run(): Promise<void> {
    const running = this.#publish().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #publish(): Promise<void> {
    try {
      const list = await this.#make();
      // Another replica's may have come in between, which knows all that this one knows.
      if (list.number > (this.#current?.number ?? 0)) this.#current = list;
      this.#isBehind = false;
      this.#parts.onPublished(list);
    } catch (error) {
      this.#isBehind = true;
      this.#parts.onFailure(error);
      throw error;
    } finally {
      this.#schedule();
    }
  }

  async #make(): Promise<PublishedList> {
    const { authority, ledger, clock, schedule } = this.#parts;
    const { periodHours, overlapHours } = schedule();
    const thisUpdate = clock.now();
    const nextUpdate = thisUpdate + (periodHours + overlapHours) * HOUR_MS;
    const issuerKeyId = authority.issuer().keyId;
    // An expired certificate stays for one more list, so that who looks seldom still sees it (RFC 5280 section 3.3).
    const expiredBefore = thisUpdate - (periodHours + overlapHours) * HOUR_MS;
    const begun = await ledger.beginList({ issuerKeyId, at: thisUpdate, expiredBefore });
    const { number, revoked } = begun;
    const der = await authority.signList({ thisUpdate, nextUpdate, crlNumber: number, revoked });
    const list: PublishedList = { issuerKeyId, number, thisUpdate, nextUpdate, der };
    await ledger.storeList(list);
    return list;
  }

  #dueInMs(): number {
    if (this.#current === undefined) return 0;
    const { thisUpdate } = this.#current;
    return thisUpdate + this.#parts.schedule().periodHours * HOUR_MS - this.#parts.clock.now();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#isEnded) return;
    const inMs = this.#isBehind ? RETRY_MS : Math.max(0, this.#dueInMs());
    this.#timer = setTimeout(() => void this.#look(), Math.min(inMs, LONGEST_WAIT_MS));
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    // Where several replicas serve, one of them has signed what is due, most often.
    if (!this.#isBehind) await this.adoptNewer().catch(() => undefined);
    if (this.#isEnded) return;
    if (!this.#isBehind && this.#dueInMs() > 0) this.#schedule();
    // A failure was reported then, and the next attempt is scheduled.
    else await this.refresh().catch(() => undefined);
  }
}
