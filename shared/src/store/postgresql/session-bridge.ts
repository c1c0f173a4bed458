import { type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { ConnectorError } from "../../errors.ts";
import { fromPortable } from "../store-errors.ts";
import type { PipelineOutcome, Statement } from "./pipeline.ts";
import type { PostgresqlPlace } from "./place.ts";
import type {
  FromSession,
  NumberedQuestion,
  SessionSettings,
  ToSession,
} from "./session-messages.ts";

/** The other thread has limits of its own on all it does; only where it is gone nothing comes within this. */
const ANSWER_TIMEOUT_MS = 90_000;
/** A migration of a large ledger may take its time. */
const SCRIPT_TIMEOUT_MS = 3_600_000;
const MAX_NUMBER = 0x7fff_ffff;

/** The connection as the writer's thread sees it: synchronous. The thread sleeps until the answer is there. */
export class SessionBridge implements Disposable {
  readonly #port: MessagePort;
  readonly #flag: Int32Array;
  readonly #worker: Worker;
  #isGone = false;
  #asked = 0;

  constructor(place: PostgresqlPlace, isReadOnly: boolean) {
    const signal = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const { port1, port2 } = new MessageChannel();
    const settings: SessionSettings = { place, isReadOnly, signal, port: port2 };
    this.#flag = new Int32Array(signal);
    this.#port = port1;
    this.#worker = new Worker(new URL("./session-worker.ts", import.meta.url), {
      workerData: settings,
      transferList: [port2],
      execArgv: [],
    });
    this.#worker.unref();
  }

  /**
   * Begins a transaction with these statements, on a new connection where the last one is lost.
   *
   * @throws ConnectorError `store-unreachable` and others of the connection: nothing was sent then.
   */
  begin(statements: readonly Statement[]): PipelineOutcome {
    return this.#outcomeOf({ type: "begin", statements });
  }

  /** Goes on with that transaction. */
  proceed(statements: readonly Statement[]): PipelineOutcome {
    return this.#outcomeOf({ type: "continue", statements });
  }

  /** Runs a text of several statements outside of any transaction but its own. @throws ConnectorError, Error */
  script(sql: string): void {
    const answer = this.#ask({ type: "script", sql }, SCRIPT_TIMEOUT_MS);
    if (answer.type === "failed") throw fromPortable(answer.error);
  }

  [Symbol.dispose](): void {
    if (!this.#isGone) this.#ask({ type: "close" });
    this.#port.close();
  }

  #outcomeOf(message: ToSession): PipelineOutcome {
    const answer = this.#ask(message);
    if (answer.type === "outcome") return answer.outcome;
    if (answer.type === "failed") throw fromPortable(answer.error);
    throw gone();
  }

  #ask(question: ToSession, timeoutMs = ANSWER_TIMEOUT_MS): FromSession {
    if (this.#isGone) throw gone();
    this.#asked = (this.#asked % MAX_NUMBER) + 1;
    const number = this.#asked;
    this.#port.postMessage({ number, question } satisfies NumberedQuestion);
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const answered = Atomics.load(this.#flag, 0);
      const leftMs = deadline - performance.now();
      if (answered === number || leftMs <= 0) break;
      Atomics.wait(this.#flag, 0, answered, leftMs);
    }
    const received = receiveMessageOnPort(this.#port);
    if (received !== undefined) return received.message as FromSession;
    // An answer that came later would be taken for that of another question.
    this.#isGone = true;
    void this.#worker.terminate();
    throw gone();
  }
}

function gone(): ConnectorError {
  return new ConnectorError("store-io", "the thread that speaks to PostgreSQL does not answer");
}
