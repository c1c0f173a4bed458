import type { Clock } from "@isthmus/shared/clock";
import type { Store } from "@isthmus/shared/store/store";
import type { RecordOperations, Session } from "../core/admin-records.ts";
import type { ListedRow, ListQuery } from "../core/list-query.ts";
import type { Records } from "../core/ports.ts";
import type { Role } from "../core/roles.ts";
import { compileCount, compilePage, compileRows, isReadInTwoSteps } from "./list-query.ts";
import type { operations } from "./module.ts";

export type ControlPlaneStore = Store<typeof operations>;

/** The store as those see it who act for administrators. */
export class StoreRecords implements Records {
  readonly #store: ControlPlaneStore;
  readonly #clock: Clock;

  constructor(store: ControlPlaneStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  run<Name extends keyof RecordOperations>(
    name: Name,
    argument: Parameters<RecordOperations[Name]>[0],
  ): Promise<ReturnType<RecordOperations[Name]>> {
    // `module.ts` checks that each operation fits its entry in RecordOperations; the generic call cannot say so.
    const run = this.#store.run.bind(this.#store) as (
      name: string,
      argument: unknown,
    ) => Promise<unknown>;
    return run(name, argument) as Promise<ReturnType<RecordOperations[Name]>>;
  }

  page(query: ListQuery, properties: readonly string[]): Promise<ListedRow[]> {
    return isReadInTwoSteps(query)
      ? this.#pageInTwoSteps(query, properties)
      : this.#pageAtOnce(query, properties);
  }

  #pageAtOnce(query: ListQuery, properties: readonly string[]): Promise<ListedRow[]> {
    const { sql, parameters } = compilePage(query, properties, this.#clock.now());
    return this.#store.query<ListedRow>(sql, parameters, query.top + 1);
  }

  /** What the page was sorted by stays as it was then. A row that went between the two steps would make it look like the last one. */
  async #pageInTwoSteps(query: ListQuery, properties: readonly string[]): Promise<ListedRow[]> {
    const now = this.#clock.now();
    const found = compilePage(query, ["id"], now);
    const places = await this.#store.query<ListedRow>(found.sql, found.parameters, query.top + 1);
    const ids = places.map(({ id }) => String(id));
    const { sql, parameters } = compileRows(query.resource, ids, properties, now);
    const rows = await this.#store.query<ListedRow>(sql, parameters, query.top + 1);
    if (rows.length < places.length) return this.#pageAtOnce(query, properties);
    const byId = new Map(rows.map((row) => [row["id"], row]));
    return places.map((place) => ({ ...byId.get(place["id"] ?? null), ...place }));
  }

  async count(query: ListQuery): Promise<number> {
    const { sql, parameters } = compileCount(query, this.#clock.now());
    const [row] = await this.#store.query<{ readonly n: number }>(sql, parameters, 1);
    return row?.n ?? 0;
  }

  async session(tokenHash: string): Promise<Session | undefined> {
    const [row] = await this.#store.query<{
      readonly id: string;
      readonly user_name: string;
      readonly roles: string;
      readonly expires_at: number;
    }>(
      `SELECT a.id, a.user_name, a.roles, s.expires_at FROM session s JOIN administrator a ON a.id = s.administrator_id
       WHERE s.token_hash = ? AND s.expires_at > ? AND a.disabled_at IS NULL`,
      [tokenHash, this.#clock.now()],
      1,
    );
    return (
      row && {
        administratorId: row.id,
        userName: row.user_name,
        roles: JSON.parse(row.roles) as Role[],
        expiresAt: row.expires_at,
      }
    );
  }
}
