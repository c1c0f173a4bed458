import type { KeyObject } from "node:crypto";
import { chmod, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import { shortPath } from "@isthmus/shared/kernel/control-socket";
import { makeStateFolder } from "@isthmus/shared/kernel/state-files";
import { publicKeyOf, signJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES, type PublicKey } from "@isthmus/shared/link/messages";
import type { Logger } from "pino";
import { SigningRules, type StatementKind, statementHash } from "../core/signing-rules.ts";
import { frameMessage, MessageReader } from "../protocol/length-prefixed.ts";
import {
  type SignerAnswer,
  type SignerRequest,
  signerRequest,
} from "../protocol/signer-messages.ts";
import { SignedLog } from "./signed-log.ts";
import { loadNextTenantKey, loadTenantKey, promoteNextTenantKey } from "./tenant-key-file.ts";

/** Our own limits. */
const MAX_CLIENTS = 8;

export interface SignerSettings {
  readonly stateFolder: string;
  /** Path of the Unix socket; only the user of this process may connect to it. */
  readonly socket: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The signer: the one process that holds the tenant key. It signs the statements that `core/signing-rules.ts` allows, each
 * after its line in the log is on disk, and refuses anything else.
 */
export class SignerServer implements AsyncDisposable {
  readonly #settings: SignerSettings;
  readonly #rules: SigningRules;
  readonly #signedLog: SignedLog;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #address: ReturnType<typeof shortPath> | undefined;
  #key: KeyObject;

  private constructor(
    settings: SignerSettings,
    key: KeyObject,
    rules: SigningRules,
    log: SignedLog,
  ) {
    this.#settings = settings;
    this.#key = key;
    this.#rules = rules;
    this.#signedLog = log;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = MAX_CLIENTS;
  }

  /** Loads or makes the key, reads the log, listens. Throws `signer-in-use` where another one listens on the socket. */
  static async start(settings: SignerSettings): Promise<SignerServer> {
    const { stateFolder, socket } = settings;
    makeStateFolder(stateFolder);
    await removeStaleSocket(socket);
    const key = loadTenantKey(stateFolder);
    const rules = new SigningRules();
    const log = await SignedLog.open(stateFolder, (line) =>
      rules.remember({ names: line.names, hash: line.statementHash }),
    );
    const server = new SignerServer(settings, key, rules, log);
    await server.#listen();
    return server;
  }

  /** Resolves with the reason when its log cannot be written any more: only a new start can tell what is on disk. */
  get failed(): Promise<unknown> {
    return this.#signedLog.failed;
  }

  async #listen(): Promise<void> {
    const { socket } = this.#settings;
    this.#address = shortPath(socket);
    const { path } = this.#address;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(path, resolve);
    });
    await chmod(socket, 0o600);
  }

  #serve(socket: Socket): void {
    const reader = new MessageReader();
    this.#clients.add(socket);
    socket.on("close", () => this.#clients.delete(socket));
    socket.on("error", (error) => this.#settings.log.warn({ err: error }, "signer.client-lost"));
    socket.on("data", (chunk) => {
      try {
        for (const message of reader.push(chunk)) void this.#handle(socket, message);
      } catch (error) {
        socket.end(frameMessage(refusalOf(0, error)));
      }
    });
  }

  async #handle(socket: Socket, message: unknown): Promise<void> {
    const parsed = signerRequest.safeParse(message);
    const answer = parsed.success
      ? await this.#answer(parsed.data)
      : refusalOf(idOf(message), NOT_A_REQUEST);
    if (!answer.ok) {
      const { code, rule, id } = answer;
      this.#settings.log.info({ code, rule, requestId: id }, "signer.refused");
    }
    if (!socket.destroyed) socket.write(frameMessage(answer));
  }

  async #answer(request: SignerRequest): Promise<SignerAnswer> {
    try {
      switch (request.type) {
        case "tenantKey":
          return { ok: true, id: request.id, tenantKey: publicKeyOf(this.#key) };
        case "sign":
          return {
            ok: true,
            id: request.id,
            jws: await this.#sign(request.kind, request.statement),
          };
        case "prepareRotation":
          return { ok: true, id: request.id, ...(await this.#prepareRotation()) };
        case "completeRotation":
          return { ok: true, id: request.id, tenantKey: this.#completeRotation(request.x) };
      }
    } catch (error) {
      if (!(error instanceof ConnectorError)) {
        this.#settings.log.error({ err: error }, "signer.failed");
      }
      return refusalOf(request.id, error);
    }
  }

  async #sign(kind: StatementKind, value: unknown): Promise<string> {
    const accepted = this.#rules.judge(kind, value);
    // Before anything is awaited, so that a second, different statement of this name meets the first one's hash.
    this.#rules.remember(accepted);
    const { names, hash, typ, statement } = accepted;
    await this.#record(kind, names, hash);
    return await signJws(statement, typ, this.#key);
  }

  /** Two steps, so that the statement is safe with the control plane before anything is signed by the next key. */
  async #prepareRotation(): Promise<{ jws: string; tenantKey: PublicKey }> {
    const { stateFolder, clock } = this.#settings;
    const tenantKey = publicKeyOf(loadNextTenantKey(stateFolder));
    const statement = { tenantKey, notBefore: clock.now() };
    const jws = await signJws(statement, JWS_TYPES.trust, this.#key);
    await this.#record("trust", [`trust ${tenantKey.x}`], statementHash(statement));
    return { jws, tenantKey };
  }

  #completeRotation(x: string): PublicKey {
    const current = publicKeyOf(this.#key);
    if (current.x === x) return current;
    const { stateFolder } = this.#settings;
    if (publicKeyOf(loadNextTenantKey(stateFolder)).x !== x) {
      throw new RefusalError("rotation-unknown", "the prepared key", "No such key was prepared");
    }
    this.#key = promoteNextTenantKey(stateFolder);
    return publicKeyOf(this.#key);
  }

  #record(kind: string, names: readonly string[], statementHash: string): Promise<void> {
    const at = this.#settings.clock.now();
    return this.#signedLog.append({ at, kind, names: [...names], statementHash });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const client of this.#clients) client.destroy();
    await closed;
    this.#address?.[Symbol.dispose]();
    await this.#signedLog[Symbol.asyncDispose]();
  }
}

const NOT_A_REQUEST = new ConnectorError(
  "signer-request",
  "The signer signs typed statements; this is no request it knows",
);

function refusalOf(id: number, error: unknown): SignerAnswer {
  if (!(error instanceof ConnectorError)) {
    return { ok: false, id, code: "internal", message: "The signer failed", isRetryable: true };
  }
  const { code, message, isRetryable } = error;
  const rule = error instanceof RefusalError ? { rule: error.rule } : {};
  return { ok: false, id, code, message, isRetryable, ...rule };
}

function idOf(message: unknown): number {
  const id =
    typeof message === "object" && message !== null && "id" in message ? message.id : undefined;
  return typeof id === "number" && Number.isSafeInteger(id) && id > 0 ? id : 0;
}

/** A socket file that nobody answers on is left from a killed process. */
async function removeStaleSocket(path: string): Promise<void> {
  using address = shortPath(path);
  const isAnswered = await new Promise<boolean>((resolve) => {
    const probe = connect(address.path);
    probe.on("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", () => resolve(false));
  });
  if (isAnswered) {
    throw new ConnectorError("signer-in-use", `Another signer listens on ${path} already`, {
      isRetryable: true,
    });
  }
  await rm(path, { force: true });
}
