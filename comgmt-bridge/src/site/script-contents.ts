import { createHash } from "node:crypto";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { ReadRecord } from "../core/inventory-state.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { readParamsDefinition, storedBytes } from "../protocol/admin-service/script-definition.ts";
import type { Asking } from "./admin-service-client.ts";
import type { Objects } from "./raw-pages.ts";

/** Of a script: SHA-256 of what is stored, and its parameters. The text itself stays at the site. */
export const SCRIPT_CONTENT_FACET = "content";

const SCRIPTS = { route: "wmi", name: "SMS_Scripts" } as const;
/** Own limit on contents that are remembered, and on how many are asked for at once. */
const MAX_REMEMBERED = 10_000;
const AT_ONCE = 4;

interface Remembered {
  readonly stamp: string;
  readonly text: string;
}

/** Contents come only by key, so they are read when a script's stamp has moved since they were. */
export class ScriptContents {
  readonly #client: Objects;
  readonly #known = new Map<string, Remembered>();

  constructor(client: Objects) {
    this.#client = client;
  }

  /** Adds the facet to records of scripts. Throws what the client throws. */
  async addTo(records: readonly ReadRecord[], asking: Asking): Promise<readonly ReadRecord[]> {
    const added: ReadRecord[] = [];
    for (let at = 0; at < records.length; at += AT_ONCE) {
      const some = records.slice(at, at + AT_ONCE);
      added.push(...(await Promise.all(some.map((record) => this.#withContent(record, asking)))));
    }
    return added;
  }

  async #withContent(record: ReadRecord, asking: Asking): Promise<ReadRecord> {
    const { key, facets } = record;
    const stamp = `${facets["identity"] ?? ""}${facets["stable"] ?? ""}`;
    const known = this.#known.get(key);
    const text = known?.stamp === stamp ? known.text : await this.#read(key, stamp, asking);
    return text === undefined
      ? record
      : { key, facets: { ...facets, [SCRIPT_CONTENT_FACET]: text } };
  }

  async #read(key: string, stamp: string, asking: Asking): Promise<string | undefined> {
    let row: Row;
    try {
      row = await this.#client.one(SCRIPTS, key, asking);
    } catch (error) {
      // It went between the list and now, or the account may not see what is in it.
      if (error instanceof ConnectorError && !error.isRetryable) return undefined;
      throw error;
    }
    const text = contentText(row);
    if (this.#known.size >= MAX_REMEMBERED) this.#known.clear();
    this.#known.set(key, { stamp, text });
    return text;
  }
}

function contentText(row: Row): string {
  const script = row["Script"];
  const sha256 =
    typeof script === "string" ? readable(() => sha256Of(storedBytes(script))) : undefined;
  const definition = row["ParamsDefinition"];
  const parameters =
    typeof definition === "string" ? readable(() => readParamsDefinition(definition)) : [];
  return JSON.stringify({ sha256, parameters });
}

/** Contents that nobody can read are left out: such a script cannot be run by us. */
function readable<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (codeOf(error) === "internal") throw error;
    return undefined;
  }
}

function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
