import { connect, type Socket } from "node:net";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import { shortPath } from "@isthmus/shared/kernel/control-socket";
import type {
  EnrolmentAnswer,
  SignedAuditHead,
  SignedCommand,
  SignedConfiguration,
} from "@isthmus/shared/link/messages";
import type { Signer, TenantKey } from "../core/ports.ts";
import type { ScepChallenge } from "../core/scep-challenge.ts";
import type { StatementKind } from "../core/signing-rules.ts";
import { frameMessage, MessageReader } from "../protocol/length-prefixed.ts";
import {
  type SignerAnswer,
  type SignerRequest,
  signerAnswer,
} from "../protocol/signer-messages.ts";

/** Our own limits. */
const MAX_PENDING = 2_000;
const ANSWER_TIMEOUT_MS = 10_000;

type Unnumbered = SignerRequest extends infer Each
  ? Each extends unknown
    ? Omit<Each, "id">
    : never
  : never;

interface Pending {
  readonly resolve: (answer: SignerAnswer & { ok: true }) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * The signer as the rest of the control plane sees it. A connection is made when one is needed, so a restarted signer is
 * found again by the next request; requests in flight at that moment fail with `signer-unreachable` (retryable), and
 * asking again is safe: the same statement gets the same signature.
 */
export class SignerClient implements Signer, Disposable {
  readonly #path: string;
  readonly #pending = new Map<number, Pending>();
  #socket: Socket | undefined;
  #lastId = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async tenantKey(): Promise<TenantKey> {
    const { tenantKey } = await this.#ask({ type: "tenantKey" });
    if (tenantKey === undefined) throw unexpected();
    return tenantKey;
  }

  signCommand(command: SignedCommand): Promise<string> {
    return this.#sign("command", command);
  }

  signConfiguration(configuration: SignedConfiguration): Promise<string> {
    return this.#sign("configuration", configuration);
  }

  signChallenge(challenge: ScepChallenge): Promise<string> {
    return this.#sign("challenge", challenge);
  }

  signAuditHead(head: SignedAuditHead): Promise<string> {
    return this.#sign("auditHead", head);
  }

  signEnrolment(answer: EnrolmentAnswer): Promise<string> {
    return this.#sign("enrolment", answer);
  }

  /** The next tenant key and the statement about it by the present one; asked again, the same key. */
  async prepareRotation(): Promise<{ readonly jws: string; readonly tenantKey: TenantKey }> {
    const { jws, tenantKey } = await this.#ask({ type: "prepareRotation" });
    if (jws === undefined || tenantKey === undefined) throw unexpected();
    return { jws, tenantKey };
  }

  /** Puts the prepared key in force. */
  async completeRotation({ x }: TenantKey): Promise<void> {
    await this.#ask({ type: "completeRotation", x });
  }

  async #sign(kind: StatementKind, statement: unknown): Promise<string> {
    const { jws } = await this.#ask({ type: "sign", kind, statement });
    if (jws === undefined) throw unexpected();
    return jws;
  }

  #ask(request: Unnumbered): Promise<SignerAnswer & { ok: true }> {
    if (this.#pending.size >= MAX_PENDING) {
      throw new ConnectorError("signer-busy", `${MAX_PENDING} requests wait for the signer`, {
        isRetryable: true,
      });
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const frame = frameMessage({ ...request, id });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(unreachable(this.#path, "did not answer in time"));
      }, ANSWER_TIMEOUT_MS);
      this.#pending.set(id, { resolve, reject, timer });
      try {
        this.#connected().write(frame);
      } catch (cause) {
        this.#pending.delete(id);
        clearTimeout(timer);
        reject(unreachable(this.#path, "is not there", cause));
      }
    });
  }

  #connected(): Socket {
    if (this.#socket !== undefined) return this.#socket;
    const address = new DisposableStack();
    const socket = connect(address.use(shortPath(this.#path)).path);
    const reader = new MessageReader();
    this.#socket = socket;
    socket.on("data", (chunk) => {
      try {
        for (const message of reader.push(chunk)) this.#settle(signerAnswer.parse(message));
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined);
      }
    });
    let cause: Error | undefined;
    socket.once("connect", () => address.dispose());
    socket.on("error", (error) => {
      cause = error;
    });
    socket.on("close", () => {
      address.dispose();
      this.#lose(socket, cause);
    });
    socket.unref();
    return socket;
  }

  #settle(answer: SignerAnswer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    this.#pending.delete(answer.id);
    clearTimeout(pending.timer);
    if (answer.ok) pending.resolve(answer);
    else pending.reject(errorOf(answer));
  }

  #lose(socket: Socket, cause: Error | undefined): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(unreachable(this.#path, "is not there", cause));
    }
    this.#pending.clear();
  }

  [Symbol.dispose](): void {
    this.#socket?.destroy();
  }
}

function errorOf(answer: SignerAnswer & { ok: false }): ConnectorError {
  const { code, message, rule, isRetryable } = answer;
  if (rule !== undefined) return new RefusalError(code, rule, message);
  return new ConnectorError(code, message, { isRetryable });
}

function unreachable(path: string, what: string, cause?: unknown): ConnectorError {
  return new ConnectorError("signer-unreachable", `The signer at ${path} ${what}`, {
    isRetryable: true,
    cause,
  });
}

function unexpected(): ConnectorError {
  return new ConnectorError("signer-answer", "The signer answered something else than was asked");
}
