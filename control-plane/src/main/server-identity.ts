import type { Server } from "node:https";
import type { Clock } from "@isthmus/shared/clock";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import type { Random } from "@isthmus/shared/random";
import type { Logger } from "pino";
import type { Configuration } from "../config/configuration.ts";
import { Loop } from "./loop.ts";
import { type TlsIdentity, type TlsSettings, tlsIdentity } from "./tls-identity.ts";

/** How often files are looked at, and the own certificate's remaining time. */
const LOOK_EVERY_MS = 60_000;
const WARN_BEFORE_MS = 14 * 86_400_000;

/** The server's certificate, put in force anew when its files change or its time runs out; open connections stay. */
export class ServerIdentity implements AsyncDisposable {
  readonly #settings: TlsSettings;
  readonly #log: Logger;
  readonly #loop: Loop;
  #identity: TlsIdentity;
  #server: Server | undefined;

  private constructor(settings: TlsSettings, log: Logger, identity: TlsIdentity) {
    this.#settings = settings;
    this.#log = log;
    this.#identity = identity;
    this.#loop = new Loop({
      round: () => this.#look(),
      intervalMs: LOOK_EVERY_MS,
      onError: (error) => log.error({ err: error }, "tls.certificate-not-read"),
    });
  }

  static async open(of: {
    readonly configuration: Configuration;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Logger;
  }): Promise<ServerIdentity> {
    const { tls, stateFolder } = of.configuration;
    const settings = { tls, stateFolder, clock: of.clock, random: of.random };
    return new ServerIdentity(settings, of.log, await tlsIdentity(settings));
  }

  get contextOptions(): { readonly cert: string; readonly key: string } {
    return { cert: this.#identity.certificatePem, key: this.#identity.keyPem };
  }

  get caPem(): string | undefined {
    return this.#identity.caPem;
  }

  get names(): readonly string[] {
    return this.#identity.names;
  }

  /** The server that a new certificate is put in force at. */
  serve(server: Server): void {
    this.#server = server;
  }

  /** Looks now and not only at the next interval. */
  renew(): void {
    this.#loop.nudge();
  }

  async #look(): Promise<boolean> {
    const identity = await tlsIdentity(this.#settings);
    if (identity.certificatePem !== this.#identity.certificatePem) {
      this.#server?.setSecureContext({ cert: identity.certificatePem, key: identity.keyPem });
      this.#identity = identity;
      this.#log.info({ notAfter: new Date(identity.notAfter) }, "tls.certificate-renewed");
    }
    return false;
  }

  check(now: number): CheckResult {
    const leftMs = this.#identity.notAfter - now;
    const reason = `the certificate ends ${new Date(this.#identity.notAfter).toISOString()}`;
    if (leftMs > WARN_BEFORE_MS) return { status: "healthy", reason };
    const remedy = "put a new certificate in the place of tls.certificateFile and tls.keyFile";
    return { status: leftMs > 0 ? "warning" : "unhealthy", reason, remedy };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
  }
}
