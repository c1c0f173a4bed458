import { guidBytes } from "@isthmus/shared/directory/binary-identifiers";
import {
  connectToDirectory,
  type DirectoryAddress,
} from "@isthmus/shared/directory/directory-connection";
import { directoryError, RESULT, resultCodeOf } from "@isthmus/shared/directory/directory-error";
import { ConnectorError } from "@isthmus/shared/errors";
import {
  AndFilter,
  type Client,
  type Entry,
  EqualityFilter,
  FilterParser,
  OrFilter,
  type SearchOptions,
} from "ldapts";
import type { ReadRecord } from "../core/inventory-state.ts";
import { DirSyncControl, ExtendedDnControl, ShowDeletedControl } from "./controls.ts";
import {
  attributesOf,
  BINARY_ATTRIBUTES,
  type DomainKind,
  guidIn,
  KINDS,
  keyOf,
  membersFacet,
  recordOf,
} from "./domain-records.ts";

/** Own limits. */
const GUIDS_AT_ONCE = 100;
const GROUPS_AT_ONCE = 100;
/** Of a group's members those that come with the group itself. */
const FIRST_MEMBERS = 500;
const MAX_RANGES = 10_000;
const MS_PER_SECOND = 1_000;
const MEMBER_RANGE = /^member(?:;range=(\d{1,9})-(\d{1,9}|\*))?$/i;

export interface DomainLimits {
  readonly pageRows: number;
  readonly rangeValues: number;
  readonly maxMembers: number;
  readonly maxObjects: number;
  readonly timeoutMs: number;
}

export interface DomainSettings {
  readonly address: DirectoryAddress;
  /** The domain's own name: DirSync reads whole naming contexts. */
  readonly baseDn: string;
  readonly limits: DomainLimits;
}

/** What DirSync tells of an object: that something of it changed. */
export interface DomainChange {
  readonly key: string;
  readonly isDeleted: boolean;
  /** It has another name or place than before: if it is a container, so has all below it. */
  readonly isRenamed: boolean;
}

export interface DomainChanges {
  readonly changes: readonly DomainChange[];
  readonly cookie: Buffer;
  readonly isMore: boolean;
}

/**
 * One connection to a domain. Referrals that come are left alone. Every method throws ConnectorError `directory-unreachable`,
 * `directory-credentials`, `directory-answer`, `directory-page`, `directory-too-large`, `directory-entry`.
 */
export class DomainReader implements AsyncDisposable {
  readonly #client: Client;
  readonly #settings: DomainSettings;

  private constructor(client: Client, settings: DomainSettings) {
    this.#client = client;
    this.#settings = settings;
  }

  static async open(settings: DomainSettings): Promise<DomainReader> {
    try {
      return new DomainReader(await connectToDirectory(settings.address), settings);
    } catch (error) {
      throw directoryError(settings.address.name, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.unbind().catch(() => undefined);
  }

  /** Whether the domain's own object can be read. */
  async probe(): Promise<void> {
    const { baseDn } = this.#settings;
    await this.#asked(() =>
      this.#client.search(baseDn, { scope: "base", attributes: ["objectGUID"] }),
    );
  }

  /** All objects of a kind, or those below a container (by its GUID), page by page. */
  async *pages(kind: DomainKind, below?: string): AsyncGenerator<readonly ReadRecord[]> {
    const { baseDn, limits } = this.#settings;
    const pageSize = kind === "group" ? Math.min(limits.pageRows, GROUPS_AT_ONCE) : limits.pageRows;
    const pages = this.#client.searchPaginated(
      below === undefined ? baseDn : `<GUID=${below}>`,
      { ...this.#options(kind), filter: KINDS[kind].filter, paged: { pageSize } },
      [new ExtendedDnControl()],
    );
    let objects = 0;
    let isEmpty = false;
    for (;;) {
      const next = await this.#asked(() => pages.next());
      if (next.done) return;
      const { searchEntries } = next.value;
      // ldapts takes a page without entries for the last one; a controller that ran out of time may have sent it.
      if (isEmpty || (searchEntries.length === 0 && objects > 0)) throw this.#emptyPage();
      isEmpty = searchEntries.length === 0;
      objects += searchEntries.length;
      if (objects > limits.maxObjects) throw this.#tooLarge(kind);
      yield await this.#records(kind, searchEntries);
    }
  }

  /** The objects of these GUIDs that are of this kind. */
  async byKeys(kind: DomainKind, keys: readonly string[]): Promise<ReadRecord[]> {
    const records: ReadRecord[] = [];
    for await (const entries of this.#found(keys, KINDS[kind].filter, this.#options(kind))) {
      records.push(...(await this.#records(kind, entries)));
    }
    return records;
  }

  /** Which of these GUIDs are containers. */
  async containersAmong(keys: readonly string[]): Promise<string[]> {
    const options: SearchOptions = {
      scope: "sub",
      attributes: ["objectGUID"],
      explicitBufferAttributes: BINARY_ATTRIBUTES,
      timeLimit: this.#timeLimit,
    };
    const containers: string[] = [];
    for await (const entries of this.#found(keys, CONTAINERS, options)) {
      containers.push(...entries.map(keyOf));
    }
    return containers;
  }

  /** The objects of these GUIDs that a filter takes, some at a time. */
  async *#found(
    keys: readonly string[],
    wanted: string,
    options: SearchOptions,
  ): AsyncGenerator<readonly Entry[]> {
    for (let at = 0; at < keys.length; at += GUIDS_AT_ONCE) {
      const values = keys.slice(at, at + GUIDS_AT_ONCE).map(guidBytes);
      const filters = values
        .filter((value) => value !== undefined)
        .map((value) => new EqualityFilter({ attribute: "objectGUID", value }));
      if (filters.length === 0) continue;
      const filter = new AndFilter({
        filters: [FilterParser.parseString(wanted), new OrFilter({ filters })],
      });
      const { searchEntries } = await this.#asked(() =>
        this.#client.search(
          this.#settings.baseDn,
          { ...options, filter, paged: { pageSize: GUIDS_AT_ONCE } },
          [new ExtendedDnControl()],
        ),
      );
      yield searchEntries;
    }
  }

  /** One question of DirSync's, without waiting for where it stands. */
  async mayUseDirSync(): Promise<boolean> {
    return (await this.#firstAnswer()) !== undefined;
  }

  /** Where DirSync stands now. Undefined where the account may not use it. */
  async presentCookie(): Promise<Buffer | undefined> {
    let answer = await this.#firstAnswer();
    for (let round = 0; answer?.isMore && round < MAX_RANGES; round += 1) {
      answer = await this.#dirSync(answer.cookie, NOTHING);
    }
    if (answer?.isMore) throw this.#tooLarge("changes");
    return answer?.cookie;
  }

  async #firstAnswer(): Promise<DomainChanges | undefined> {
    try {
      return await this.#dirSync(Buffer.alloc(0), NOTHING);
    } catch (error) {
      const code = resultCodeOf(error instanceof ConnectorError ? error.cause : error);
      if (code !== undefined && NO_DIRSYNC.includes(code)) return undefined;
      throw error;
    }
  }

  /** What changed since a cookie. Throws `directory-cookie`, too, where it is not taken, and `directory-dirsync-refused`. */
  async changesSince(cookie: Buffer): Promise<DomainChanges> {
    try {
      return await this.#dirSync(cookie, CHANGED_FILTER);
    } catch (error) {
      const code = resultCodeOf(error instanceof ConnectorError ? error.cause : error);
      if (code === RESULT.insufficientAccessRights) {
        throw this.#fault("directory-dirsync-refused", "does not let the account use DirSync");
      }
      if (code === undefined || PASSING.includes(code)) throw error;
      const words = `directory ${this.#settings.address.name} does not take the DirSync cookie (LDAP result ${code})`;
      throw new ConnectorError("directory-cookie", words, { isRetryable: true, cause: error });
    }
  }

  async #dirSync(cookie: Buffer, filter: string): Promise<DomainChanges> {
    const control = new DirSyncControl(cookie);
    const { searchEntries } = await this.#asked(() =>
      this.#client.search(
        this.#settings.baseDn,
        {
          ...{ scope: "sub", filter, timeLimit: this.#timeLimit },
          attributes: CHANGE_ATTRIBUTES,
          explicitBufferAttributes: BINARY_ATTRIBUTES,
        },
        [control, new ShowDeletedControl()],
      ),
    );
    const { answer } = control;
    if (answer === undefined || answer.cookie.length === 0) {
      throw this.#fault("directory-answer", "answers DirSync without a cookie");
    }
    return { changes: searchEntries.map(changeOf), ...answer };
  }

  async #records(kind: DomainKind, entries: readonly Entry[]): Promise<ReadRecord[]> {
    const records: ReadRecord[] = [];
    for (const entry of entries) {
      const members = kind === "group" ? await this.#membersOf(entry) : undefined;
      records.push(recordOf(kind, entry, this.#settings.address.name, members));
    }
    return records;
  }

  /** More than a range is asked for on. */
  async #membersOf(entry: Entry) {
    const { rangeValues, maxMembers } = this.#settings.limits;
    const guids: string[] = [];
    let part = membersIn(entry);
    for (let ranges = 0; part !== undefined; ranges += 1) {
      if (ranges > MAX_RANGES) throw this.#tooLarge("members");
      for (const name of part.names) guids.push(guidIn(name) ?? name);
      if (part.next === undefined) break;
      const { next } = part;
      const attribute = `member;range=${next}-${next + rangeValues - 1}`;
      const { searchEntries } = await this.#asked(() =>
        this.#client.search(
          `<GUID=${keyOf(entry)}>`,
          { scope: "base", attributes: [attribute], timeLimit: this.#timeLimit },
          [new ExtendedDnControl()],
        ),
      );
      part = searchEntries[0] && membersIn(searchEntries[0]);
      // Members went while they were read: nothing follows what was the next one.
      if (part?.next !== undefined && part.next <= next) throw this.#emptyPage();
    }
    return membersFacet(guids, maxMembers);
  }

  #options(kind: DomainKind): SearchOptions {
    const range = Math.min(this.#settings.limits.rangeValues, FIRST_MEMBERS);
    const members = kind === "group" ? [`member;range=0-${range - 1}`] : [];
    return {
      scope: "sub",
      attributes: [...attributesOf(kind), ...members],
      explicitBufferAttributes: BINARY_ATTRIBUTES,
      timeLimit: this.#timeLimit,
    };
  }

  get #timeLimit(): number {
    return Math.max(1, Math.ceil(this.#settings.limits.timeoutMs / MS_PER_SECOND));
  }

  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw directoryError(this.#settings.address.name, error);
    }
  }

  #emptyPage(): ConnectorError {
    return this.#fault("directory-page", "sent a part that is empty although more may follow");
  }

  #tooLarge(what: string): ConnectorError {
    return this.#fault("directory-too-large", `has more ${what} than directories.limits allow`);
  }

  #fault(code: string, words: string): ConnectorError {
    const { name } = this.#settings.address;
    return new ConnectorError(code, `directory ${name} ${words}`, { isRetryable: true });
  }
}

/** Result codes of a controller that knows us and will not do DirSync for us. */
const NO_DIRSYNC: readonly number[] = [
  RESULT.insufficientAccessRights,
  RESULT.unavailableCriticalExtension,
  RESULT.unwillingToPerform,
];
/** Result codes that say nothing of the cookie. */
const PASSING: readonly number[] = [
  ...[RESULT.timeLimitExceeded, RESULT.busy, RESULT.unavailable],
  ...[RESULT.invalidCredentials, RESULT.strongerAuthRequired],
];
/** What makes the controller say where it stands, and nothing else. */
const NOTHING = "(&(objectClass=domainDNS)(cn=nothing is called this))";
const CONTAINERS = "(|(objectClass=organizationalUnit)(objectClass=container))";
/**
 * Deleted objects keep objectClass and lose objectCategory; containers are watched for what moves with them, and what is not read
 * and may be in groups for its end.
 */
const CHANGED_FILTER =
  `(|(objectClass=user)(objectClass=group)${CONTAINERS}` +
  "(objectClass=contact)(objectClass=foreignSecurityPrincipal))";
const CHANGE_ATTRIBUTES: string[] = [
  ...new Set([
    ...(["device", "user", "group"] as const).flatMap((kind) => attributesOf(kind)),
    ...["name", "member", "isDeleted", "whenCreated"],
  ]),
];

function changeOf(entry: Entry): DomainChange {
  const has = (name: string) => {
    const value = entry[name];
    return value !== undefined && value.length > 0;
  };
  return {
    key: keyOf(entry),
    isDeleted: String(entry["isDeleted"]).toUpperCase() === "TRUE",
    // A new object comes with all it has.
    isRenamed: has("name") && !has("whenCreated"),
  };
}

interface MemberPart {
  readonly names: readonly string[];
  readonly next: number | undefined;
}

/** Members come as `member`, or as a part of them: `member;range=0-1499`, the last part up to `*`. */
function membersIn(entry: Entry): MemberPart | undefined {
  for (const [name, value] of Object.entries(entry)) {
    const match = MEMBER_RANGE.exec(name);
    if (match === null || name === "dn") continue;
    const names = (Array.isArray(value) ? value : [value]).map(String);
    if (names.length === 0) continue;
    const [, , end] = match;
    return { names, next: end === undefined || end === "*" ? undefined : Number(end) + 1 };
  }
  return undefined;
}
