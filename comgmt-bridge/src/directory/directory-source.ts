import { setTimeout as pauseFor } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { BackOff } from "@isthmus/shared/link/back-off";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { Random } from "@isthmus/shared/random";
import type { InventorySink, InventorySource, KeyedReading } from "../core/ports.ts";
import { type DomainChange, DomainReader, type DomainSettings } from "./domain-reader.ts";
import { type DomainKind, facetsOf } from "./domain-records.ts";

/** Own limits. A cookie older than tombstones may live would pass over deletions; the shortest lifetime in use is 60 days. */
const MAX_COOKIE_AGE_MS = 30 * 86_400_000;
const MAX_ROUNDS = 10_000;
/** Containers that were moved at once and are read below; with more of them everything is read. */
const MAX_MOVED = 20;
/** Objects that are read and told at once. */
const CHANGES_AT_ONCE = 500;
const COOKIE = "dirsync";
const FULL_READ = "full-read";
/** When something was deleted that may have been in groups; empty when they were read since. */
const GROUPS_STALE = "groups-stale";

export interface DirectorySourceSettings extends DomainSettings {
  readonly kinds: readonly DomainKind[];
  readonly changesMs: number;
  readonly fullReadMs: number;
  /** How soon groups are read again after something was deleted, and how often at most. */
  readonly groupsAfterDeletionMs: number;
  /** The same where the account may not use DirSync. */
  readonly fullReadWithoutDirSyncMs: number;
}

export interface DirectorySourceParts {
  readonly clock: Clock;
  readonly random: Random;
  /** The domain cannot be read for now. */
  readonly onFault: (code: string, message: string) => void;
  /** Waits between rounds; a timer unless given. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** For health and people. */
export interface DirectoryState {
  readonly lastReadAt: number | undefined;
  readonly failure: ConnectorError | undefined;
  /** Undefined as long as it was not tried. */
  readonly mayUseDirSync: boolean | undefined;
}

/**
 * The computers, users and groups of a domain. Everything is read by pages now and then; in between DirSync says which objects changed
 * or went, and those are read again by their GUIDs. The cookie is taken before a full read begins, so that nothing falls between.
 */
export class DirectorySource implements InventorySource {
  readonly type = "active-directory";
  readonly #settings: DirectorySourceSettings;
  readonly #parts: DirectorySourceParts;
  #lastReadAt: number | undefined;
  #failure: ConnectorError | undefined;
  #mayUseDirSync: boolean | undefined;

  constructor(settings: DirectorySourceSettings, parts: DirectorySourceParts) {
    this.#settings = settings;
    this.#parts = parts;
  }

  get name(): string {
    return this.#settings.address.name;
  }

  get kinds(): readonly RecordKind[] {
    return this.#settings.kinds;
  }

  get state(): DirectoryState {
    return {
      lastReadAt: this.#lastReadAt,
      failure: this.#failure,
      mayUseDirSync: this.#mayUseDirSync,
    };
  }

  async run(sink: InventorySink, signal: AbortSignal): Promise<void> {
    const backOff = new BackOff(this.#parts.random);
    for (;;) {
      await sink.ready(signal);
      const began = this.#parts.clock.now();
      let wait = this.#settings.changesMs;
      try {
        await this.#round(sink, signal);
        this.#failure = undefined;
        this.#lastReadAt = this.#parts.clock.now();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ConnectorError) || !error.code.startsWith("directory-")) throw error;
        this.#failure = error;
        this.#parts.onFault(error.code, error.message);
        wait = Math.max(1_000, backOff.next(this.#parts.clock.now() - began));
      }
      await this.#pause(wait, signal);
    }
  }

  async read(
    kind: RecordKind,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<KeyedReading> {
    const of = this.#settings.kinds.find((each) => each === kind);
    if (of === undefined) return { facets: [], records: [] };
    return await this.#connected(signal, async (domain) => ({
      facets: facetsOf(of),
      records: await domain.byKeys(of, keys),
    }));
  }

  #pause(ms: number, signal: AbortSignal): Promise<unknown> {
    return this.#parts.pause?.(ms, signal) ?? pauseFor(ms, undefined, { signal });
  }

  async #connected<T>(signal: AbortSignal, act: (domain: DomainReader) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    await using domain = await DomainReader.open(this.#settings);
    const close = () => void domain[Symbol.asyncDispose]();
    signal.addEventListener("abort", close, { once: true });
    try {
      return await act(domain);
    } finally {
      signal.removeEventListener("abort", close);
    }
  }

  async #round(sink: InventorySink, signal: AbortSignal): Promise<void> {
    const cookie = asCookie(await sink.cursor(COOKIE), this.#parts.clock.now());
    const fullReadAt = Number((await sink.cursor(FULL_READ)) || Number.NaN);
    if (this.#isFullReadDue(fullReadAt, cookie)) {
      await this.#connected(signal, (domain) => this.#readAll(domain, sink, signal));
    } else if (cookie !== undefined) {
      await this.#connected(signal, async (domain) => {
        await this.#followChanges(domain, cookie, sink, signal);
        await this.#readStaleGroups(domain, sink, signal);
      });
    }
  }

  /**
   * Who is deleted leaves its groups without a change of theirs that DirSync would tell: a controller takes the links away where it
   * takes the object away. So groups are read once more, all of them, as nothing says which; some time after, as deletions come in crowds.
   */
  async #readStaleGroups(
    domain: DomainReader,
    sink: InventorySink,
    signal: AbortSignal,
  ): Promise<void> {
    const staleSince = await sink.cursor(GROUPS_STALE);
    // It may be of before a restart, when groups were still read.
    if (!staleSince || !this.#settings.kinds.includes("group")) return;
    const age = this.#parts.clock.now() - Number(staleSince);
    if (age >= 0 && age < this.#settings.groupsAfterDeletionMs) return;
    await this.#readKind(domain, "group", sink, signal);
    await sink.keepCursor(GROUPS_STALE, "");
  }

  #isFullReadDue(fullReadAt: number, cookie: Buffer | undefined): boolean {
    const age = this.#parts.clock.now() - fullReadAt;
    const { fullReadMs, fullReadWithoutDirSyncMs } = this.#settings;
    const every = cookie === undefined ? fullReadWithoutDirSyncMs : fullReadMs;
    // Never read, or the clock was set back.
    return !(age >= 0 && age < every);
  }

  async #readAll(domain: DomainReader, sink: InventorySink, signal: AbortSignal): Promise<void> {
    const takenAt = this.#parts.clock.now();
    const cookie = await domain.presentCookie();
    this.#mayUseDirSync = cookie !== undefined;
    for (const kind of this.#settings.kinds) await this.#readKind(domain, kind, sink, signal);
    await sink.keepCursor(COOKIE, cookie === undefined ? "" : cookieText(cookie, takenAt));
    await sink.keepCursor(FULL_READ, String(takenAt));
    await sink.keepCursor(GROUPS_STALE, "");
  }

  /** Records go page by page, and at the end the keys of all of them: what has none is missing. */
  async #readKind(
    domain: DomainReader,
    kind: DomainKind,
    sink: InventorySink,
    signal: AbortSignal,
  ): Promise<void> {
    const beganAt = this.#parts.clock.now();
    const keys = new Set<string>();
    const facets = facetsOf(kind);
    for await (const records of domain.pages(kind)) {
      await sink.ready(signal);
      await sink.applyChanges(kind, { facets, records });
      for (const { key } of records) keys.add(key);
      sink.progress(kind, keys.size, undefined);
    }
    const records = Array.from(keys, (key) => ({ key, facets: {} }));
    await sink.applyRange(kind, { range: undefined, facets: [], records, pages: {} });
    await sink.endScan(kind, beganAt);
  }

  async #followChanges(
    domain: DomainReader,
    from: Buffer,
    sink: InventorySink,
    signal: AbortSignal,
  ): Promise<void> {
    let cookie = from;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      await sink.ready(signal);
      const takenAt = this.#parts.clock.now();
      const found = await domain.changesSince(cookie).catch(async (error: unknown) => {
        await this.#forgetCookie(codeOf(error), sink);
        throw error;
      });
      this.#mayUseDirSync = true;
      await this.#apply(domain, found.changes, sink, signal);
      cookie = Buffer.from(found.cookie);
      await sink.keepCursor(COOKIE, cookieText(cookie, takenAt));
      if (!found.isMore) return;
    }
  }

  /** Without a right that the account had everything is read when it is due; with a cookie that is not taken, at once. */
  async #forgetCookie(code: string, sink: InventorySink): Promise<void> {
    if (code !== "directory-cookie" && code !== "directory-dirsync-refused") return;
    this.#mayUseDirSync = code === "directory-cookie";
    await sink.keepCursor(COOKIE, "");
    if (code === "directory-cookie") await sink.keepCursor(FULL_READ, "");
  }

  async #apply(
    domain: DomainReader,
    changes: readonly DomainChange[],
    sink: InventorySink,
    signal: AbortSignal,
  ): Promise<void> {
    if (changes.length === 0) return;
    const gone = changes.filter(({ isDeleted }) => isDeleted).map(({ key }) => key);
    const alive = changes.filter(({ isDeleted }) => !isDeleted);
    const renamed = new Set(alive.filter(({ isRenamed }) => isRenamed).map(({ key }) => key));
    for (const kind of this.#settings.kinds) {
      // Of what kind a deleted object was it does not say; another kind has no record of its key.
      if (gone.length > 0) await sink.applyChanges(kind, { facets: [], records: [] }, gone);
      for (let at = 0; at < alive.length; at += CHANGES_AT_ONCE) {
        const keys = alive.slice(at, at + CHANGES_AT_ONCE).map(({ key }) => key);
        const records = await domain.byKeys(kind, keys);
        for (const { key } of records) renamed.delete(key);
        await sink.ready(signal);
        if (records.length === 0) continue;
        await sink.applyChanges(kind, { facets: facetsOf(kind), records });
      }
    }
    await this.#readBelow(domain, await domain.containersAmong([...renamed]), sink, signal);
    if (gone.length > 0) await this.#noteStaleGroups(sink);
  }

  async #noteStaleGroups(sink: InventorySink): Promise<void> {
    if (!this.#settings.kinds.includes("group") || (await sink.cursor(GROUPS_STALE))) return;
    await sink.keepCursor(GROUPS_STALE, String(this.#parts.clock.now()));
  }

  /** What is below a container that was renamed or moved has another name, and no change of its own. */
  async #readBelow(
    domain: DomainReader,
    containers: readonly string[],
    sink: InventorySink,
    signal: AbortSignal,
  ): Promise<void> {
    if (containers.length > MAX_MOVED) await sink.keepCursor(FULL_READ, "");
    else {
      for (const below of containers) {
        for (const kind of this.#settings.kinds) {
          for await (const records of domain.pages(kind, below)) {
            await sink.ready(signal);
            await sink.applyChanges(kind, { facets: facetsOf(kind), records });
          }
        }
      }
    }
  }
}

function cookieText(cookie: Buffer, takenAt: number): string {
  return `${takenAt} ${cookie.toString("base64")}`;
}

/** Undefined for none, and for one that is too old to be told of every deletion. */
function asCookie(text: string | undefined, now: number): Buffer | undefined {
  const [, takenAt, base64] = /^(\d+) ([A-Za-z0-9+/]+=*)$/.exec(text ?? "") ?? [];
  if (base64 === undefined || now - Number(takenAt) > MAX_COOKIE_AGE_MS) return undefined;
  return Buffer.from(base64, "base64");
}
