import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import type { ClaimedPublication } from "../core/publication.ts";
import type { PublishedList } from "../core/revocation-ledger.ts";
import { CertificatePublication } from "../directory/certificate-publication.ts";
import type { OpenDirectory } from "./directories.ts";
import { pauseAfter } from "./pause-after.ts";
import { Rounds } from "./rounds.ts";
import type { CertificateKernel } from "./service.ts";

/** Our own: how often is looked for what is due. */
const LOOK_MS = 2_000;
/** After about two weeks of trying each hour. */
const MAX_ATTEMPTS = 350;
const CLAIM_MS = 120_000;
const MAX_AT_ONCE = 50;

export interface DirectoryPublicationParts {
  readonly kernel: Pick<CertificateKernel, "store" | "clock" | "log">;
  readonly directories: ReadonlyMap<string, OpenDirectory>;
  /** Of the embedded authority. */
  readonly currentList: () => PublishedList | undefined;
}

/**
 * Brings certificates and revocation lists into directories: what is due is in the store, a list is the one in force, so
 * a crash or a directory that is away loses nothing.
 */
export class DirectoryPublications implements AsyncDisposable {
  readonly #parts: DirectoryPublicationParts;
  /** Number of the list that a directory has, by its name. */
  readonly #lists = new Map<string, number>();
  readonly #rounds: Rounds;

  constructor(parts: DirectoryPublicationParts) {
    this.#parts = parts;
    this.#rounds = new Rounds(
      () => this.#publishDue(),
      (error) => parts.kernel.log.error({ err: error }, "directory.publication-failed"),
    );
  }

  start(): void {
    if (this.#parts.directories.size === 0) return;
    this.#rounds.start(LOOK_MS);
    this.#rounds.begin();
  }

  async #publishDue(): Promise<void> {
    const { store, clock } = this.#parts.kernel;
    const at = clock.now();
    const claim = { at, until: at + CLAIM_MS, limit: MAX_AT_ONCE };
    // Most looks find nothing, and need not wait for the writer.
    const [any] = await store.query(
      "SELECT 1 FROM directory_publication WHERE next_at IS NOT NULL AND next_at <= ? LIMIT 1",
      [at],
      1,
    );
    const claimed = any === undefined ? [] : await store.run("claimPublications", claim);
    for (const due of claimed) await this.#attempt(due);
    for (const [name, directory] of this.#parts.directories)
      await this.#publishList(name, directory);
  }

  async #attempt(due: ClaimedPublication): Promise<void> {
    const { store, clock, log } = this.#parts.kernel;
    const { enrolmentId, act, directory, serialNumber } = due;
    try {
      const entryDn = await this.#act(due);
      await store.run("publicationDone", { enrolmentId, act, entryDn });
      log.info({ directory, serialNumber, act }, "directory.published");
    } catch (error) {
      const isGivenUp = due.attempts >= MAX_ATTEMPTS;
      const nextAt = isGivenUp ? undefined : clock.now() + pauseAfter(due.attempts);
      const message = error instanceof ConnectorError ? error.message : "see the log";
      await store.run("publicationDeferred", { enrolmentId, nextAt, message });
      log.warn({ directory, serialNumber, act, err: error }, "directory.publication-deferred");
    }
  }

  /** Resolves to the entry's name. An account is looked up again each time: it may have moved. */
  async #act(due: ClaimedPublication): Promise<string | undefined> {
    const { accounts, pool } = this.#directory(due.directory);
    const publication = new CertificatePublication(pool);
    const found = await accounts.find(due.lookUp, due.grant);
    const entryDn = found?.distinguishedName ?? due.entryDn;
    if (due.act === "remove") {
      if (entryDn !== undefined) await publication.remove(entryDn, due.certificate);
      return undefined;
    }
    if (found === undefined) {
      const message = `Directory ${due.directory} has no enabled account to publish to`;
      throw new RefusalError("account-missing", "profile.directory", message);
    }
    const { distinguishedName } = found;
    await publication.add(distinguishedName, due.certificate, this.#parts.kernel.clock.now());
    return distinguishedName;
  }

  async #publishList(name: string, { pool, settings }: OpenDirectory): Promise<void> {
    const list = this.#parts.currentList();
    const { revocationListDn } = settings;
    if (list === undefined || revocationListDn === undefined) return;
    if (this.#lists.get(name) === list.number) return;
    const { log } = this.#parts.kernel;
    const about = { directory: name, number: list.number };
    try {
      await new CertificatePublication(pool).putList(revocationListDn, list.der);
      this.#lists.set(name, list.number);
      log.info(about, "directory.list-published");
    } catch (error) {
      log.warn({ ...about, err: error }, "directory.list-deferred");
    }
  }

  #directory(name: string): OpenDirectory {
    const directory = this.#parts.directories.get(name);
    if (directory !== undefined) return directory;
    throw new ConnectorError(
      "directory-unknown",
      `the local configuration has no directory "${name}"`,
    );
  }

  /** Waits for the round under way, which ends with its connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rounds[Symbol.asyncDispose]();
  }
}

interface Waiting {
  readonly directory: string;
  readonly waiting: number;
  readonly message: string | null;
}

/** Whether a directory lacks certificates that it should have, or has some that it should not. */
export async function publicationsResult({
  store,
}: Pick<CertificateKernel, "store">): Promise<CheckResult> {
  const [worst] = await store.query<Waiting>(
    `SELECT directory, count(*) AS waiting, max(last_message) AS message FROM directory_publication
     WHERE last_message IS NOT NULL GROUP BY directory ORDER BY count(*) DESC LIMIT 1`,
    [],
    1,
  );
  if (worst === undefined)
    return { status: "healthy", reason: "directories have what they should" };
  return {
    status: "warning",
    reason: `${worst.waiting} certificates are not published to ${worst.directory} as they should be: ${worst.message}`,
    remedy:
      "give the service account the right to write userCertificate; it is tried again by itself",
  };
}
