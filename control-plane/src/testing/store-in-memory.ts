import { DatabaseSync } from "node:sqlite";
import { StatementCache } from "@isthmus/shared/store/database";
import { migrate } from "@isthmus/shared/store/migrate";
import type { Transaction } from "@isthmus/shared/store/transaction";
import { migrations, operations } from "../store/module.ts";

type Operations = typeof operations;

/** The store's operations on a database in memory, called as the store itself calls them. */
export class StoreInMemory implements Disposable {
  readonly #database = new DatabaseSync(":memory:");
  readonly transaction = new StatementCache(this.#database);

  constructor(now: number) {
    migrate(this.#database, "memory", migrations, now);
  }

  async run<Name extends keyof Operations>(
    name: Name,
    argument: Parameters<Operations[Name]>[1],
  ): Promise<ReturnType<Operations[Name]>> {
    const operation = operations[name] as (transaction: Transaction, argument: unknown) => unknown;
    return operation(this.transaction, argument) as ReturnType<Operations[Name]>;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
