const KEPT_LINES = 20;

/** What did not come off, said once: its own words and those of what it was caused by. */
export interface Failure {
  readonly what: string;
  readonly why: string;
}

/** The end of a program's output, as much as says what was the matter. */
export function lastLines(output: string): string {
  return output.trimEnd().split("\n").slice(-KEPT_LINES).join("\n");
}

/**
 * Does something of a long run that depends on several programs, and once more where it fails: what has been measured until then
 * is worth more than the purity of a first try. Says what failed, and why, each time.
 */
export async function tryTwice<Result>(
  what: string,
  work: () => Promise<Result>,
  options: {
    /** Puts right what the first try may have left. */
    readonly mend: () => Promise<void>;
    /** The last words of the programs that took part. */
    readonly words: () => string;
    readonly progress: (line: string) => void;
  },
): Promise<Result | Failure> {
  let why = "";
  for (const next of ["it is tried once more", "it is left out"]) {
    try {
      return await work();
    } catch (error) {
      why = causes(error);
      options.progress(`${what} failed, ${next}: ${why}\n${options.words()}`);
      await options.mend();
    }
  }
  return { what, why };
}

export function isFailure(result: object): result is Failure {
  return "why" in result;
}

function causes(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = lastLines(error.message);
  return error.cause === undefined ? message : `${message}\n${causes(error.cause)}`;
}
