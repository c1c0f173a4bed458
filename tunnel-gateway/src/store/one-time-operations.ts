import type { Migration, Operations, Transaction } from "@isthmus/shared/store/transaction";
import type { OneTimeStep } from "../core/one-time-steps.ts";

/** Own choice: steps (of 30 s) that are remembered, a day; a password is good for three of them. */
const REMEMBERED_STEPS = 2_880;

/** The last one-time password of each user, so that none is good twice (RFC 6238 section 5.2). */
export const oneTimeMigrations: readonly Migration[] = [
  {
    id: "tunnel-gateway-4-one-time-steps",
    sql: `
      CREATE TABLE one_time_step (
        authenticator TEXT NOT NULL,
        user_name TEXT NOT NULL,
        step INTEGER NOT NULL,
        PRIMARY KEY (authenticator, user_name)
      ) STRICT;
    `,
  },
];

export const oneTimeOperations = {
  /** Whether the step is later than the user's last one, which it then becomes. */
  takeOneTimeStep(transaction: Transaction, of: OneTimeStep): boolean {
    const { authenticator, userName, step } = of;
    const { changes } = transaction.run(
      `INSERT INTO one_time_step (authenticator, user_name, step) VALUES (?, ?, ?)
       ON CONFLICT (authenticator, user_name) DO UPDATE SET step = excluded.step WHERE excluded.step > one_time_step.step`,
      authenticator,
      userName,
      step,
    );
    transaction.run("DELETE FROM one_time_step WHERE step < ?", step - REMEMBERED_STEPS);
    return changes > 0;
  },
} satisfies Operations;
