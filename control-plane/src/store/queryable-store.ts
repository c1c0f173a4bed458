import type { Row, SqlValue } from "@isthmus/shared/store/transaction";

/** The store as those see it who only read: on a thread of its own, so that no commit waits. */
export interface QueryableStore {
  query(sql: string, parameters: readonly SqlValue[], maxRows: number): Promise<Row[]>;
}
