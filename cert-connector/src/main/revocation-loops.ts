import { setTimeout as delay } from "node:timers/promises";
import { codeOf } from "@isthmus/shared/errors";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import { type RevokedOnRequest, revocationRound } from "../core/requested-revocations.ts";
import { storeRevocationInbox } from "../store/store-revocation-inbox.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";
import type { Tenant } from "./tenants.ts";

/** A page that was full is followed by the next one this much later. */
const NEXT_PAGE_MS = 100;
/** From so many failed rounds on a person hears of it. */
const WARN_AFTER_FAILURES = 3;

interface LoopState {
  failures: number;
  lastError: unknown;
  heldBack: number;
}

/** Does what tenants of Intune ask to have revoked: one loop each, until it is disposed of. */
export class RevocationLoops implements AsyncDisposable {
  readonly #kernel: CertificateKernel;
  readonly #connector: Pick<CertificateConnector, "authorityRevocations" | "publisher" | "replica">;
  readonly #stop = new AbortController();
  readonly #states = new Map<string, LoopState>();
  readonly #loops: Promise<void>[] = [];

  constructor(
    kernel: CertificateKernel,
    connector: Pick<CertificateConnector, "authorityRevocations" | "publisher" | "replica">,
    tenants: Iterable<Tenant>,
  ) {
    this.#kernel = kernel;
    this.#connector = connector;
    for (const tenant of tenants) {
      if (tenant.configuration.revocations.isEnabled) this.#loops.push(this.#run(tenant));
    }
  }

  /** What hinders the loops, if anything. */
  result(): CheckResult {
    for (const [name, { failures, lastError, heldBack }] of this.#states) {
      if (failures >= WARN_AFTER_FAILURES) {
        return {
          status: "warning",
          reason: `tenant ${name}: ${failures} rounds failed (${codeOf(lastError)})`,
          remedy: "see the log for why, and `check` for what to do",
        };
      }
      if (heldBack > 0) {
        return {
          status: "warning",
          reason: `tenant ${name}: ${heldBack} revocations wait, the guardrails allow no more for now`,
          remedy:
            "they follow as the window frees; or raise commands.limits.certificate-revocations",
        };
      }
    }
    return { status: "healthy", reason: `tenants that are asked: ${this.#loops.length}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async #run(tenant: Tenant): Promise<void> {
    const { signal } = this.#stop;
    const { maxRequests, everySeconds } = tenant.configuration.revocations;
    const state: LoopState = { failures: 0, lastError: undefined, heldBack: 0 };
    this.#states.set(tenant.name, state);
    while (!signal.aborted) {
      const downloaded = await this.#turn(tenant, state);
      const waitMs = downloaded < maxRequests ? everySeconds * 1_000 : NEXT_PAGE_MS;
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One replica asks for all: two would be given the same requests. */
  async #turn(tenant: Tenant, state: LoopState): Promise<number> {
    const isLeading = await this.#connector.replica
      .leads(`intune-revocations ${tenant.name}`)
      .catch(() => false);
    return isLeading ? await this.#round(tenant, state) : 0;
  }

  /** How many requests came. */
  async #round(tenant: Tenant, state: LoopState): Promise<number> {
    const { log, link } = this.#kernel;
    const about = { tenant: tenant.name };
    try {
      const round = await revocationRound(this.#partsOf(tenant));
      state.failures = 0;
      state.heldBack = round.heldBack;
      if (round.downloaded + round.reported > 0) {
        link.wake("issuance");
        log.info({ ...about, ...round }, "intune.revocations");
      }
      if (round.heldBack > 0) {
        log.warn({ ...about, heldBack: round.heldBack }, "intune.revocations-held-back");
      }
      return round.downloaded;
    } catch (error) {
      state.failures += 1;
      state.lastError = error;
      log.warn({ ...about, err: error }, "intune.revocations-failed");
      return 0;
    }
  }

  #partsOf({ name, configuration, revocations }: Tenant) {
    const { store, clock, limits, log } = this.#kernel;
    const { authorityRevocations, publisher } = this.#connector;
    const { max, perMinutes } = limits.windowOf("certificate-revocations");
    const { maxRequests, issuerName } = configuration.revocations;
    return {
      tenant: name,
      inbox: storeRevocationInbox(store, { max, windowMs: perMinutes * 60_000 }),
      download: () => revocations.download({ maxRequests, issuerName }),
      upload: revocations.upload.bind(revocations),
      revokeAt: ({ authority, serialNumber }: RevokedOnRequest) =>
        authorityRevocations.tell({ authority, serialNumber }),
      publish: () => publisher.refresh(),
      now: () => clock.now(),
      onLate: ({ authority, serialNumber }: RevokedOnRequest) =>
        log.warn({ tenant: name, authority, serialNumber }, "intune.revocation-late"),
    };
  }
}
