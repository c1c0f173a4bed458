import type { Ledger } from "../core/ledger.ts";

/** The ledger, with a hint to the link after each step that put something into the stream. */
export function wakingLedger<L extends Ledger>(ledger: L, wake: () => void): L {
  const woken =
    <Argument, Result>(step: (argument: Argument) => Promise<Result>) =>
    async (argument: Argument): Promise<Result> => {
      const result = await step(argument);
      wake();
      return result;
    };
  return {
    ...ledger,
    recordIssued: woken(ledger.recordIssued),
    recordFailure: woken(ledger.recordFailure),
    revoke: woken(ledger.revoke),
  };
}
