import { codeOf } from "@isthmus/shared/errors";
import type { ClientEventSink, EventsOfDevice } from "../core/client-events.ts";
import type { InventorySink } from "../core/ports.ts";
import { readHistory } from "../core/scan-progress.ts";
import { readClientEvents } from "../protocol/admin-service/client-events.ts";
import { objectPath } from "../protocol/admin-service/path.ts";
import type { Asking } from "./admin-service-client.ts";
import { type PatienceParts, patiently } from "./patience.ts";
import type { Calls } from "./raw-pages.ts";
import { isClassIll } from "./silent-classes.ts";
import { isUnanswered } from "./unanswered.ts";

const DEVICE = { route: "v1.0", name: "Device" } as const;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Devices send their events once a day (memdocs, tenant attach's timeline), so one that is active is read as often. */
const ACTIVE_EVERY_MS = DAY_MS;
/** Own choice, well within the 30 days that the site keeps them: one that is silent. */
const SILENT_EVERY_MS = 7 * DAY_MS;
/** Own limits. */
const SWEEP_EVERY_MS = HOUR_MS;
const STEP_MS = 5_000;
/** How soon it is seen that a device was heard of, where nothing is left to do. */
const IDLE_MS = 30_000;
const MAX_ACTIVE = 200_000;
const LOOKED_UP_AT_ONCE = 500;
const MAX_AT_ONCE = 50;
const MAX_EVENTS_OF_DEVICE = 2_000;
/**
 * Own choice: devices are read one behind the other in groups, and put into the store together. To wake up for each by itself cost several
 * times as much, day and night.
 */
const GROUP_MS = 20_000;
const MAX_IN_GROUP = 50;
/** Own limit, held in memory until they are put into the store. */
const MAX_EVENTS_IN_GROUP = 5_000;
/** So many devices one behind the other whose events cannot be had say that nobody's can; a release before 2002 has none. */
const REFUSALS = 3;
const LEFT_ALONE_MS = DAY_MS;
/** Where they do not come although the rest of the site is there, which may be mended at any time. */
const SILENT_ALONE_MS = HOUR_MS;
/** Own choice: a device whose events do not come so often is passed over, though those of others do. */
const UNANSWERED = 2;
const REFUSED = new Set([
  ...["site-not-found", "site-forbidden", "site-bad-request", "site-failed", "site-status"],
  ...["site-security-exception", "site-mfa-demanded"],
]);

export interface ClientEventRoundsOptions {
  readonly client: Calls;
  readonly parts: Omit<PatienceParts, "onFault">;
  readonly observer: {
    requests(count: number): void;
    fault(code: string, message: string): void;
  };
  /** Own bound on the load: the site gives events of one device at a time. */
  readonly perHour: number;
}

/**
 * Reads the site's timelines of devices, behind everything else and at a steady pace: a device that was heard of once a day, any other
 * once a week. A site that has none is asked again a day later.
 */
export class ClientEventRounds {
  readonly #options: ClientEventRoundsOptions;
  /** Devices that were heard of since they were last looked up. */
  readonly #active = new Set<number>();
  #due: number[] = [];
  #sweptThrough = -1;
  #sweepAt = 0;
  #refusals = 0;
  #leftAloneUntil = 0;

  constructor(options: ClientEventRoundsOptions) {
    this.#options = options;
  }

  /** Devices that were heard of. Those over the limit are found by the walk over all. */
  noteActive(keys: readonly number[]): void {
    for (const key of keys) {
      if (this.#active.size >= MAX_ACTIVE) return;
      this.#active.add(key);
    }
  }

  /** Until the signal aborts; at once where nobody takes events. */
  async run(sink: InventorySink, signal: AbortSignal): Promise<void> {
    const { clientEvents } = sink;
    if (clientEvents === undefined) return;
    const { perHour, parts } = this.#options;
    await this.#untilAllWasRead(sink, signal);
    for (;;) {
      // Whoever has nothing to look for leaves the store's thread asleep, too.
      if (this.#mayBeDue()) await sink.ready(signal);
      const asked = await this.#readSome(clientEvents, signal);
      const paceMs = Math.ceil((HOUR_MS / perHour) * Math.max(1, asked));
      await parts.pause(asked > 0 ? paceMs : this.#restMs(paceMs), signal);
    }
  }

  /** How many devices were asked for. */
  async #readSome(sink: ClientEventSink, signal: AbortSignal): Promise<number> {
    if (this.#isLeftAlone()) return 0;
    if (this.#due.length === 0) this.#due = [...(await this.#more(sink))];
    const atOnce = Math.floor((this.#options.perHour * GROUP_MS) / HOUR_MS);
    const keys = this.#due.splice(0, Math.min(Math.max(1, atOnce), MAX_IN_GROUP));
    const read: EventsOfDevice[] = [];
    let [asked, events] = [0, 0];
    for (const key of keys) {
      if (this.#isLeftAlone()) break;
      asked += 1;
      const found = await this.#read(key, sink, signal);
      if (found === undefined) continue;
      read.push(found);
      events += found.events.length;
      if (events < MAX_EVENTS_IN_GROUP) continue;
      await this.#applyAll(read.splice(0), sink);
      events = 0;
    }
    await this.#applyAll(read, sink);
    return asked;
  }

  /** How long it waits after it found no device to ask for. */
  #restMs(paceMs: number): number {
    if (!this.#mayBeDue()) return IDLE_MS;
    return this.#active.size > 0 ? paceMs : STEP_MS;
  }

  #mayBeDue(): boolean {
    if (this.#isLeftAlone()) return false;
    return this.#due.length > 0 || this.#active.size > 0 || !this.#isSwept();
  }

  /** Further away than it can be, as below: the clock was put back. */
  #isSwept(): boolean {
    const left = this.#sweepAt - this.#options.parts.clock.now();
    return left > 0 && left <= SWEEP_EVERY_MS;
  }

  #isLeftAlone(): boolean {
    const left = this.#leftAloneUntil - this.#options.parts.clock.now();
    return left > 0 && left <= LEFT_ALONE_MS;
  }

  /** Reads the events of these devices now, as far as it can be done at once; the others come in their turn. */
  async readNow(
    keys: readonly number[],
    sink: ClientEventSink,
    signal: AbortSignal,
  ): Promise<void> {
    const { observer } = this.#options;
    if (this.#isLeftAlone()) return;
    this.noteActive(keys.slice(MAX_AT_ONCE));
    for (const key of keys.slice(0, MAX_AT_ONCE)) {
      try {
        await this.#apply(await this.#ask(key, { lane: "hint", signal }), sink);
      } catch (error) {
        signal.throwIfAborted();
        // Whoever asked for the device has its inventory; its events come with the next round.
        observer.fault(codeOf(error), `events of device ${key}: ${wordsOf(error)}`);
        this.noteActive([key]);
        return;
      }
    }
  }

  /** A first reading of the inventory is waited for by people; nobody waits for events of last month. */
  async #untilAllWasRead(sink: InventorySink, signal: AbortSignal): Promise<void> {
    const { pause } = this.#options.parts;
    while (readHistory(await sink.cursor("scans")).endedAt === 0) await pause(STEP_MS, signal);
  }

  async #more(sink: ClientEventSink): Promise<readonly number[]> {
    const now = this.#options.parts.clock.now();
    if (this.#active.size > 0) {
      const some: number[] = [];
      for (const key of this.#active) {
        if (some.length === LOOKED_UP_AT_ONCE) break;
        some.push(key);
        this.#active.delete(key);
      }
      const due = await sink.due(some, now - ACTIVE_EVERY_MS);
      if (due.length > 0) return due;
    }
    if (this.#isSwept()) return [];
    const { keys, through } = await sink.sweep(this.#sweptThrough, now - SILENT_EVERY_MS);
    this.#sweptThrough = through ?? -1;
    if (through === undefined) this.#sweepAt = now + SWEEP_EVERY_MS;
    return keys;
  }

  async #read(
    key: number,
    sink: ClientEventSink,
    signal: AbortSignal,
  ): Promise<EventsOfDevice | undefined> {
    const { parts, observer } = this.#options;
    const onFault = (code: string, message: string) => observer.fault(code, message);
    let unanswered = 0;
    let silence: Error | undefined;
    const step = async (): Promise<EventsOfDevice | undefined> => {
      try {
        return await this.#ask(key, { lane: "snapshot", signal });
      } catch (error) {
        if (isClassIll(error)) silence = error as Error;
        if (silence !== undefined || REFUSED.has(codeOf(error))) return undefined;
        if (isUnanswered(error)) unanswered += 1;
        if (unanswered < UNANSWERED) throw error;
        return undefined;
      }
    };
    const outcome = await patiently(step, { ...parts, onFault }, signal);
    const read = outcome.isDone ? outcome.value : undefined;
    if (read !== undefined) {
      this.#refusals = 0;
      return read;
    }
    // Its turn comes again; whether it is the device or the site nobody can say yet.
    if (unanswered >= UNANSWERED) return undefined;
    this.#refusals += 1;
    if (this.#refusals < REFUSALS) return undefined;
    this.#refusals = 0;
    const forMs = silence === undefined ? LEFT_ALONE_MS : SILENT_ALONE_MS;
    this.#leftAloneUntil = parts.clock.now() + forMs;
    const why = `the site gives no events of devices (Device(${key})/Events), and is asked again in`;
    const words =
      silence === undefined
        ? `${why} a day: it needs release 2002 or later, and the account Read Resource`
        : `${why} an hour: ${silence.message}`;
    await sink.note("client-events.left-alone", words);
    return undefined;
  }

  async #ask(key: number, asking: Asking): Promise<EventsOfDevice> {
    const { client, observer } = this.#options;
    observer.requests(1);
    const path = `${objectPath(DEVICE, key)}/Events`;
    const body = await client.ask(path, { ...asking, asked: "rows" });
    return { key, events: readClientEvents(body) };
  }

  /** In one turn, so that the store has one transaction for all. */
  async #applyAll(read: readonly EventsOfDevice[], sink: ClientEventSink): Promise<void> {
    await Promise.all(read.map((each) => this.#apply(each, sink)));
  }

  async #apply({ key, events }: EventsOfDevice, sink: ClientEventSink): Promise<void> {
    const newest = events.slice(-MAX_EVENTS_OF_DEVICE);
    await sink.apply({ key, events: newest });
    if (newest.length === events.length) return;
    await sink.note(
      "client-events.cut",
      `device ${key} has ${events.length} events, of which the newest ${newest.length} are told`,
    );
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
