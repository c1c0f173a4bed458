import { ConnectorError } from "@isthmus/shared/errors";
import type { Transaction } from "@isthmus/shared/store/transaction";
import { type AskedFacet, askedFacet } from "./facet-reading.ts";
import { facetCode, MAX_FACET_NAMES } from "./facet-states.ts";

/** Names of facets and their codes, as one operation needs them. */
export class FacetNames {
  readonly #transaction: Transaction;
  readonly #codes = new Map<string, string>();
  readonly #names = new Map<string, string>();

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
    const rows = transaction.all("SELECT id, name FROM facet_name LIMIT ?", MAX_FACET_NAMES);
    for (const row of rows) this.#add(Number(row["id"]), String(row["name"]));
  }

  readonly nameOf = (code: string): string => this.#names.get(code) ?? code;

  /** Those of these names, each with its place among what is read, in the order of their codes. Throws ConnectorError `facet-names-too-many`. */
  asked(names: ReadonlyMap<string, number>): AskedFacet[] {
    return [...names]
      .map(([name, at]) => askedFacet(name, this.#codes.get(name) ?? this.#give(name), at))
      .sort((one, other) => (one.code < other.code ? -1 : 1));
  }

  #give(name: string): string {
    if (this.#codes.size >= MAX_FACET_NAMES) {
      throw new ConnectorError(
        "facet-names-too-many",
        `facet ${name} would be one over ${MAX_FACET_NAMES}`,
      );
    }
    const { lastInsertRowid } = this.#transaction.run(
      "INSERT INTO facet_name (name) VALUES (?)",
      name,
    );
    return this.#add(Number(lastInsertRowid), name);
  }

  #add(id: number, name: string): string {
    const code = facetCode(id);
    this.#codes.set(name, code);
    this.#names.set(code, name);
    return code;
  }
}
