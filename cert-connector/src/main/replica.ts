import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import { SUITE_VERSION } from "@isthmus/shared/kernel/version";
import type { RevocationPublisher } from "../ca/revocation-publisher.ts";
import type { EnrolmentService } from "../core/enrolment-service.ts";
import type { RegistrationKeyStore } from "../core/registration-keys.ts";
import type { ReplicaRow } from "../store/replica-operations.ts";
import { Rounds } from "./rounds.ts";
import type { CertificateKernel } from "./service.ts";

/** Own limits, ms. A replica says that it lives so often, and is taken for dead after six times that. */
const BEAT_MS = 5_000;
const ALIVE_MS = 30_000;
/** A lease outlives its holder by this at most. */
const LEASE_MS = 30_000;
/** Lists of other replicas are taken up within this. */
const LIST_LOOK_MS = 2_000;
/** An intent this old belongs to nobody who works on it: a request is answered or given up long before. */
const ABANDONED_MS = 60_000;
const RESUME_EVERY_MS = 30_000;

/** What a replica does for the others while it serves. */
interface Parts {
  readonly enrolments: Pick<EnrolmentService, "completeUnfinished">;
  readonly publisher: Pick<RevocationPublisher, "adoptNewer">;
}

/**
 * This connector among those that share its ledger. One that has no database is alone: it leads everything, and nobody has
 * to hold its keys.
 */
export class Replica implements AsyncDisposable {
  readonly #kernel: CertificateKernel;
  readonly #name: string | undefined;
  readonly #rounds: Rounds[] = [];
  #others: readonly ReplicaRow[] = [];
  #lastBeatAt: number;
  #isStarted = false;

  constructor(kernel: CertificateKernel) {
    this.#kernel = kernel;
    this.#name = kernel.local.database?.replica;
    this.#lastBeatAt = kernel.clock.now();
  }

  /** Who claims work in the shared tables: unlike the connector's id never the same for two. */
  get owner(): string {
    return this.#name ?? this.#kernel.connectorId;
  }

  /** Who can use which key of the RA. */
  get holders(): Pick<RegistrationKeyStore, "hold" | "isHeldByAll"> {
    const { store, clock } = this.#kernel;
    const name = this.#name;
    if (name === undefined) return { hold: async () => undefined, isHeldByAll: async () => true };
    return {
      hold: (keyId) => store.run("holdKey", { name, keyId }),
      isHeldByAll: (keyId) =>
        store.run("isKeyHeldByAll", { keyId, aliveSince: clock.now() - ALIVE_MS }),
    };
  }

  /** Says that this one is here; before it loads any key. */
  async enter(): Promise<void> {
    const name = this.#name;
    if (name === undefined) return;
    const { store, clock } = this.#kernel;
    await store.run("replicaStarted", { name, version: SUITE_VERSION, at: clock.now() });
    this.#isStarted = true;
    await this.#beat();
  }

  /** From here on it says that it lives, takes up others' lists, and completes what a dead one has left. */
  serve(parts: Parts): void {
    if (this.#name === undefined) return;
    this.#every(BEAT_MS, () => this.#beat());
    this.#every(LIST_LOOK_MS, () => parts.publisher.adoptNewer());
    this.#every(RESUME_EVERY_MS, () => this.resume(parts));
  }

  /** Whether this one is to do work that one does for all; asked before each round of it. */
  async leads(work: string): Promise<boolean> {
    const { store, clock } = this.#kernel;
    if (this.#name === undefined) return true;
    const at = clock.now();
    const lease = { name: work, holder: this.#name, at, until: at + LEASE_MS };
    return (await store.run("takeLease", lease)) !== undefined;
  }

  /** Completes what a replica has intended that died before it could store the certificate. */
  async resume({ enrolments }: Parts): Promise<void> {
    if (!(await this.leads("unfinished-intents"))) return;
    const intendedBefore = this.#kernel.clock.now() - ABANDONED_MS;
    const { completed } = await enrolments.completeUnfinished("embedded", intendedBefore);
    if (completed > 0) this.#kernel.log.warn({ completed }, "enrolment.resumed");
  }

  result(): CheckResult {
    if (this.#name === undefined) return { status: "healthy", reason: "this connector is alone" };
    const now = this.#kernel.clock.now();
    const silentMs = now - this.#lastBeatAt;
    if (silentMs > ALIVE_MS) {
      return {
        status: "unhealthy",
        reason: `the database has not been written for ${Math.round(silentMs / 1_000)} s`,
        remedy: "see whether PostgreSQL runs and can be reached; this replica goes on by itself",
      };
    }
    const alive = this.#others.filter(({ seenAt }) => now - seenAt <= ALIVE_MS);
    const gone = this.#others.filter(({ seenAt }) => now - seenAt > ALIVE_MS);
    const names = (rows: readonly ReplicaRow[]) => rows.map(({ name }) => name).join(", ");
    const reason = `alive: ${names(alive)}`;
    if (gone.length === 0) return { status: "healthy", reason };
    return {
      status: "warning",
      reason: `${reason}; not seen any more: ${names(gone)}`,
      remedy: "start them again: their audit and issuance entries wait in the database for them",
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#rounds.map((rounds) => rounds[Symbol.asyncDispose]()));
    const name = this.#name;
    if (!this.#isStarted || name === undefined) return;
    // A database that is away does not keep a replica from stopping.
    await this.#kernel.store.run("replicaStopped", { name }).catch(() => undefined);
  }

  #every(ms: number, step: () => Promise<void>): void {
    const { log } = this.#kernel;
    const rounds = new Rounds(step, (error) => log.warn({ err: error }, "replica.failed"));
    rounds.start(ms);
    this.#rounds.push(rounds);
  }

  async #beat(): Promise<void> {
    const { store, clock } = this.#kernel;
    const seen = { name: this.owner, version: SUITE_VERSION, at: clock.now() };
    this.#others = await store.run("replicaSeen", seen);
    this.#lastBeatAt = clock.now();
  }
}
