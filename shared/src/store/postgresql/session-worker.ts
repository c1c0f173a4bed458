import { isMainThread, workerData } from "node:worker_threads";
import { ConnectorError } from "../../errors.ts";
import { toPortable } from "../store-errors.ts";
import { Reconnector } from "./reconnector.ts";
import type {
  FromSession,
  NumberedQuestion,
  SessionSettings,
  ToSession,
} from "./session-messages.ts";

/**
 * The thread that holds a store's connection to PostgreSQL. The store's writer sleeps while this one waits for the server, so
 * that operations can stay synchronous. Started by `session-bridge.ts`.
 */
if (!isMainThread) serve(workerData as SessionSettings);

function serve({ place, isReadOnly, signal, port }: SessionSettings): void {
  const reconnector = new Reconnector({ place, isReadOnly, isOwner: !isReadOnly });
  const flag = new Int32Array(signal);
  port.on("message", async ({ number, question }: NumberedQuestion) => {
    port.postMessage(await answerTo(question, reconnector));
    Atomics.store(flag, 0, number);
    Atomics.notify(flag, 0);
    if (question.type === "close") port.close();
  });
}

async function answerTo(message: ToSession, reconnector: Reconnector): Promise<FromSession> {
  try {
    switch (message.type) {
      case "close":
        await reconnector[Symbol.asyncDispose]();
        return { type: "done" };
      case "script":
        await (await reconnector.session()).script(message.sql);
        return { type: "done" };
      case "begin": {
        const session = await reconnector.session();
        return { type: "outcome", outcome: await session.run(message.statements) };
      }
      case "continue": {
        const outcome = await reconnector.current?.run(message.statements);
        return { type: "outcome", outcome: outcome ?? LOST };
      }
    }
  } catch (error) {
    const known = error instanceof ConnectorError ? error : internal(error);
    return { type: "failed", error: toPortable(known) };
  }
}

const LOST = {
  ok: false,
  failure: { sqlState: undefined, message: "the connection was lost", index: 0 },
} as const;

function internal(cause: unknown): ConnectorError {
  return new ConnectorError("store-sql", String(cause), { cause });
}
