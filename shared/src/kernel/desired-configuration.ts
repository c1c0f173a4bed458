import type { z } from "zod";
import type { Clock } from "../clock.ts";
import { ConfigurationError, ConnectorError, codeOf, RefusalError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { checkConfiguration } from "./configuration.ts";
import type { KernelOperations } from "./kernel-operations.ts";
import type { CheckResult, RunningService } from "./service-definition.ts";

/** A desired configuration that came from its source and was found authentic, not yet checked by the service. */
export interface OfferedConfiguration {
  readonly version: number;
  readonly configuration: unknown;
  /** What is kept to apply it again at the next start. */
  readonly document: string;
}

/** What became of an offer, as the control plane is told. */
export type ConfigurationOutcome =
  | { readonly version: number; readonly state: "applied" }
  | {
      readonly version: number;
      readonly state: "refused";
      readonly error: { readonly code: string; readonly message: string };
    };

const MAX_MESSAGE_CHARACTERS = 1_000;

/**
 * Puts desired configurations in force, one after the other: only a newer version, only what the service accepts. The
 * last good one is kept in the store and stays in force whatever is offered.
 */
export class DesiredConfiguration<Desired> {
  readonly #source: string;
  readonly #schema: z.ZodType<Desired>;
  readonly #service: Pick<RunningService<Desired>, "applyConfiguration">;
  readonly #store: Store<KernelOperations>;
  readonly #clock: Clock;
  #version = 0;
  #document: string | undefined;
  /** False while what was kept could not be applied at this start. */
  #isInForce = false;
  #refusal: { readonly version: number; readonly message: string } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: {
    /** The connector's id, or `standalone`. */
    readonly source: string;
    readonly schema: z.ZodType<Desired>;
    readonly service: Pick<RunningService<Desired>, "applyConfiguration">;
    readonly store: Store<KernelOperations>;
    readonly clock: Clock;
  }) {
    this.#source = options.source;
    this.#schema = options.schema;
    this.#service = options.service;
    this.#store = options.store;
    this.#clock = options.clock;
  }

  /** The version in force, 0 for none. */
  get version(): number {
    return this.#version;
  }

  /**
   * Applies what was in force when the process last ran. `open` gets the configuration out of the kept document.
   * Returns whether there was one.
   */
  async applyKept(open: (document: string) => Promise<OfferedConfiguration>): Promise<boolean> {
    const kept = await this.#store.run("keptConfiguration", this.#source);
    if (kept === undefined) return false;
    const { version, document } = kept;
    try {
      const { configuration } = await open(document);
      await this.#service.applyConfiguration(this.#checked(configuration, version), version);
      this.#isInForce = true;
    } catch (error) {
      // It was good once: the service's version or its surroundings have changed. A newer one may mend that.
      await this.#refused(version, error);
      return true;
    } finally {
      this.#version = version;
      this.#document = document;
    }
    await this.#audit("configuration.restored", { version });
    return true;
  }

  /** Puts an offered configuration in force, or refuses it and says why. Never throws. */
  offer(offered: OfferedConfiguration): Promise<ConfigurationOutcome> {
    const outcome = this.#turn.then(() => this.#take(offered));
    this.#turn = outcome.catch(() => {});
    return outcome;
  }

  /** Notes an offer that was not even authentic. */
  async refuse(version: number, error: unknown): Promise<ConfigurationOutcome> {
    return await this.#refused(version, error);
  }

  /** For health. */
  check(): CheckResult {
    if (this.#refusal !== undefined) {
      const { version, message } = this.#refusal;
      return {
        status: this.#isInForce ? "warning" : "unhealthy",
        reason: `desired configuration ${version} was refused: ${message}`,
        remedy:
          "correct the configuration; the version in a local file has to be above the one in force",
      };
    }
    if (this.#isInForce) {
      return { status: "healthy", reason: `desired configuration ${this.#version} is in force` };
    }
    return {
      status: "warning",
      reason: "no desired configuration has come yet, so there is nothing to serve",
      remedy: "set one in the control plane, or in the standalone file",
    };
  }

  async #take(offered: OfferedConfiguration): Promise<ConfigurationOutcome> {
    const { version, document } = offered;
    const isSame = version === this.#version && document === this.#document;
    if (isSame && this.#isInForce) {
      this.#refusal = undefined;
      return { version, state: "applied" };
    }
    try {
      if (!isSame) this.#requireNewer(version);
      const configuration = this.#checked(offered.configuration, version);
      await this.#service.applyConfiguration(configuration, version);
    } catch (error) {
      return await this.#refused(version, error);
    }
    this.#version = version;
    this.#document = document;
    this.#isInForce = true;
    this.#refusal = undefined;
    await this.#store.run("keepConfiguration", {
      source: this.#source,
      version,
      document,
      appliedAt: this.#clock.now(),
    });
    await this.#audit("configuration.applied", { version });
    return { version, state: "applied" };
  }

  #requireNewer(version: number): void {
    if (version > this.#version) return;
    const said =
      version === this.#version
        ? `version ${version} is in force with other content`
        : `version ${version} is older than ${this.#version}, which is in force`;
    throw new RefusalError("configuration-older", "configuration.version", said);
  }

  #checked(configuration: unknown, version: number): Desired {
    return checkConfiguration(this.#schema, configuration, `desired configuration ${version}`);
  }

  async #refused(version: number, error: unknown): Promise<ConfigurationOutcome> {
    const message = messageOf(error);
    const code = codeOf(error);
    const isKnown = this.#refusal?.version === version && this.#refusal.message === message;
    this.#refusal = { version, message };
    // Offered again at each reconnect: once in the journal is enough.
    if (!isKnown) await this.#audit("configuration.refused", { version, code, message });
    return refusalOutcome(version, code, message);
  }

  #audit(event: string, payload: Readonly<Record<string, unknown>>): Promise<void> {
    const record = { at: this.#clock.now(), event, payload: { ...payload, source: this.#source } };
    return this.#store.run("recordAudit", record);
  }
}

function refusalOutcome(version: number, code: string, message: string): ConfigurationOutcome {
  return { version, state: "refused", error: { code, message } };
}

/** Detail of our own errors only; of any other nothing but that there was one leaves the process. */
function messageOf(error: unknown): string {
  if (error instanceof ConfigurationError) {
    return error.faults.join("; ").slice(0, MAX_MESSAGE_CHARACTERS);
  }
  if (error instanceof ConnectorError) return error.message.slice(0, MAX_MESSAGE_CHARACTERS);
  return "the service could not apply it; its log says why";
}
