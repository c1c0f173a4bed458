/** What a helper program can be asked, by name. Arguments and results cross processes: structured-cloneable. */
// biome-ignore lint/suspicious/noExplicitAny: the parameter position of a registry of differently typed handlers
export type Handlers = Readonly<Record<string, (argument: any) => unknown>>;

export interface Question {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

/** The last line of a helper program: answers the bench's questions until the bench goes away. */
export function answerWith(handlers: Handlers): void {
  process.on("message", (question: Question) => void answer(handlers, question));
  process.once("disconnect", () => process.exit());
}

async function answer(handlers: Handlers, { id, name, argument }: Question): Promise<void> {
  let reply: Answer;
  try {
    const handler = handlers[name];
    if (handler === undefined) throw new Error(`there is no handler ${name}`);
    reply = { id, result: await handler(argument) };
  } catch (error) {
    reply = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  process.send?.(reply);
}
