import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Answer, Handlers, Question } from "./answering.ts";
import { remember } from "./children.ts";

/** A helper of the bench in a process of its own, so that its CPU is never counted to what is measured. */
export interface Program<Known extends Handlers> extends AsyncDisposable {
  readonly pid: number;
  /** Calls one of the program's handlers. Rejects with what it threw, or when the program ends before it answers. */
  ask<Name extends keyof Known & string>(
    name: Name,
    argument: Parameters<Known[Name]>[0],
  ): Promise<Awaited<ReturnType<Known[Name]>>>;
}

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** Starts the TypeScript file at `url`, which ends in `answerWith(handlers)`; in a network namespace where one is given. */
export async function startProgram<Known extends Handlers>(
  url: URL,
  environment: Readonly<Record<string, string>> = {},
  namespace?: string,
): Promise<Program<Known>> {
  const path = fileURLToPath(url);
  const inside = ["netns", "exec", namespace ?? "", process.execPath];
  const child = fork(path, [], {
    ...(namespace === undefined ? {} : { execPath: "ip", execArgv: inside }),
    serialization: "advanced",
    // stdout stays free for the report.
    stdio: ["ignore", 2, 2, "ipc"],
    env: { ...process.env, ...environment },
  });
  remember(child);
  await once(child, "spawn");
  const waiting = new Map<number, Waiting>();
  child.on("message", (answer: Answer) => settle(waiting, answer));
  child.once("exit", (code, signal) => {
    const end = new Error(`${path} ended (${signal ?? `exit ${code}`}) before it answered`);
    for (const { reject } of waiting.values()) reject(end);
    waiting.clear();
  });
  let last = 0;
  return {
    pid: child.pid ?? 0,
    ask: (name, argument) =>
      new Promise((resolve, reject) => {
        last += 1;
        waiting.set(last, { resolve: resolve as Waiting["resolve"], reject });
        const question: Question = { id: last, name, argument };
        child.send(question, (error) => error !== null && reject(error));
      }),
    [Symbol.asyncDispose]: () => end(child),
  };
}

function settle(waiting: Map<number, Waiting>, answer: Answer): void {
  const one = waiting.get(answer.id);
  waiting.delete(answer.id);
  if ("error" in answer) one?.reject(new Error(answer.error));
  else one?.resolve(answer.result as never);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}
