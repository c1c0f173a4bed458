import { type ChildProcess, fork } from "node:child_process";
import { ConnectorError } from "@isthmus/shared/errors";
import type {
  FromHsmProcess,
  HsmActKind,
  HsmActs,
  HsmAnswers,
  HsmFault,
  HsmPlace,
  ToHsmProcess,
} from "./pkcs11-messages.ts";

/** An act failed because the session to the token is gone, or took too long: the token has to be opened anew. */
export class SessionLostError extends ConnectorError {
  constructor(message: string) {
    super("hsm-unavailable", message, { isRetryable: true });
  }
}

interface Waiting {
  readonly resolve: (answer: HsmAnswers[HsmActKind]) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** The process that owns the PKCS#11 module. Its first act is to open a token; after any loss it is of no more use. */
export class HsmClient {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onLost: (error: SessionLostError) => void;
  #lastId = 0;
  #isEnded = false;

  constructor(place: HsmPlace, onLost: (error: SessionLostError) => void) {
    this.#onLost = onLost;
    this.#child = fork(new URL("./pkcs11-process.ts", import.meta.url), [], {
      execArgv: [],
      serialization: "advanced",
      // What the library prints is none of our output.
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      // Each session's act takes one of that process's threads.
      env: { ...process.env, UV_THREADPOOL_SIZE: String(Math.max(4, place.sessions)) },
    });
    this.#child.on("message", (message) => this.#take(message as FromHsmProcess));
    this.#child.on("error", (error) => this.#lose(`its process failed: ${error.message}`));
    this.#child.on("exit", (code, signal) => this.#lose(`its process ended (${signal ?? code})`));
  }

  /**
   * Has one act done. Throws SessionLostError, also where it takes longer than `timeoutMs`: a library that hangs is ended
   * with its process. Throws ConnectorError `hsm-key-missing`, `hsm-mechanism-missing`, and whatever else the token says.
   */
  ask<Kind extends HsmActKind>(
    kind: Kind,
    act: HsmActs[Kind],
    timeoutMs: number,
  ): Promise<HsmAnswers[Kind]> {
    if (this.#isEnded) return Promise.reject(new SessionLostError("HSM: the session has ended"));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#lose(`no answer to "${kind}" within ${timeoutMs / 1_000} s`);
      }, timeoutMs);
      this.#waiting.set(id, { resolve: resolve as Waiting["resolve"], reject, timer });
      this.#child.send({ id, kind, ...act } as unknown as ToHsmProcess, (error) => {
        if (error !== null) this.#lose(`its process cannot be reached: ${error.message}`);
      });
    });
  }

  /** Ends the process, whatever it is doing; what waits is refused. */
  end(): void {
    this.#close(new SessionLostError("HSM: the session was ended"));
  }

  #take(message: FromHsmProcess): void {
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if ("answer" in message) waiting.resolve(message.answer);
    else if (message.fault.isSessionLost) {
      waiting.reject(new SessionLostError(`HSM: ${message.fault.message}`));
      this.#lose(message.fault.message);
    } else waiting.reject(errorOf(message.fault));
  }

  #lose(reason: string): void {
    const error = new SessionLostError(`HSM: ${reason}`);
    if (this.#close(error)) this.#onLost(error);
  }

  #close(error: SessionLostError): boolean {
    if (this.#isEnded) return false;
    this.#isEnded = true;
    this.#child.kill("SIGKILL");
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
    return true;
  }
}

/** A missing token may come back; the rest needs a person. */
function errorOf({ code, message }: HsmFault): ConnectorError {
  return new ConnectorError(code, `HSM: ${message}`, { isRetryable: code === "hsm-token-missing" });
}
