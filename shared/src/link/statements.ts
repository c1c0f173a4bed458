import type { ConnectorError } from "../errors.ts";
import { codeOf, ProtocolError } from "../errors.ts";
import { verifyJws } from "./jws.ts";
import type { LinkHooks } from "./link-hooks.ts";
import type { LinkLog } from "./link-log.ts";
import type { FromConnector, PublicKey, Service } from "./messages.ts";
import { JWS_TYPES, signedAuditHead, signedConfiguration, signedTrust } from "./messages.ts";

interface StatementOptions {
  readonly connectorId: string;
  readonly service: Service;
  readonly tenantKeys: () => readonly PublicKey[];
  readonly hooks: LinkHooks;
  readonly log: LinkLog;
}

const MAX_MESSAGE_LENGTH = 1_024;

/**
 * Takes the signed statements that are no commands: configuration, receipts, trust. One that does not verify or is for another
 * connector is told by an event and has no effect.
 */
export class Statements {
  readonly #options: StatementOptions;

  constructor(options: StatementOptions) {
    this.#options = options;
  }

  /** Answers what to report; undefined for a statement that was rejected. */
  async configuration(jws: string): Promise<FromConnector | undefined> {
    const { connectorId, service, hooks } = this.#options;
    const statement = await this.#verified("configuration", jws, (payload) => {
      const parsed = signedConfiguration.parse(payload);
      if (parsed.aud !== connectorId || parsed.service !== service) throw foreign("configuration");
      return parsed;
    });
    if (statement === undefined) return undefined;
    const { version } = statement;
    const inForce = hooks.configurationVersion();
    if (version < inForce) {
      // A signed one from before: whoever withholds the newer one wants the older back.
      const code = "configuration-older";
      hooks.onEvent({ event: "link.statement-rejected", kind: "configuration", code });
      return undefined;
    }
    if (version === inForce) return { type: "configuration-state", version, state: "applied" };
    try {
      await hooks.onConfiguration(statement, jws);
      return { type: "configuration-state", version, state: "applied" };
    } catch (error) {
      this.#options.log.warn({ version, err: error }, "link.configuration-refused");
      const message = error instanceof Error ? error.message.slice(0, MAX_MESSAGE_LENGTH) : "";
      const told = { code: codeOf(error), message };
      return { type: "configuration-state", version, state: "refused", error: told };
    }
  }

  async countersigned(jws: string): Promise<void> {
    const head = await this.#verified("auditHead", jws, (payload) => {
      const parsed = signedAuditHead.parse(payload);
      if (parsed.aud !== this.#options.connectorId) throw foreign("receipt");
      return parsed;
    });
    if (head !== undefined) {
      await this.#handed("auditHead", () => this.#options.hooks.onCountersigned(head, jws));
    }
  }

  async trust(jws: string): Promise<void> {
    const trust = await this.#verified("trust", jws, (payload) => signedTrust.parse(payload));
    if (trust !== undefined) {
      await this.#handed("trust", () => this.#options.hooks.onTrust(trust, jws));
    }
  }

  /** A statement that cannot be kept comes again; it is no reason to give up the link. */
  async #handed(kind: string, hand: () => Promise<void>): Promise<void> {
    try {
      await hand();
    } catch (error) {
      this.#options.log.warn({ kind, err: error }, "link.statement-not-kept");
    }
  }

  async #verified<T>(
    kind: keyof typeof JWS_TYPES,
    jws: string,
    read: (payload: unknown) => T,
  ): Promise<T | undefined> {
    try {
      return read(await verifyJws(jws, JWS_TYPES[kind], this.#options.tenantKeys()));
    } catch (error) {
      const code = error instanceof ProtocolError ? error.code : "statement-invalid";
      this.#options.hooks.onEvent({ event: "link.statement-rejected", kind, code });
      return undefined;
    }
  }
}

function foreign(what: string): ConnectorError {
  return new ProtocolError("statement-audience", `the ${what} is for another connector`);
}
