import { createHash } from "node:crypto";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { ReadRecord } from "../core/inventory-state.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { readParamsDefinition, storedBytes } from "../protocol/admin-service/script-definition.ts";
import type { Asking } from "./admin-service-client.ts";
import type { Objects } from "./raw-pages.ts";
import { isClassIll } from "./silent-classes.ts";
import { isUnanswered } from "./unanswered.ts";

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

export interface WithContents {
  readonly records: readonly ReadRecord[];
  readonly unread: ReadonlySet<string>;
}

const notAsked = new ConnectorError("site-timeout", "another script was not answered before");

/** Of one script, or of all of them, while the list of scripts comes. */
function isUnread(error: unknown): boolean {
  return isClassIll(error) || isUnanswered(error);
}

/** Contents come only by key, so they are read when a script's stamp has moved since they were. */
export class ScriptContents {
  readonly #client: Objects;
  readonly #known = new Map<string, Remembered>();

  constructor(client: Objects) {
    this.#client = client;
  }

  /**
   * Adds the facet to records of scripts; `unread` are the keys of those whose content did not come, though the site is there. Throws what
   * the client throws otherwise.
   */
  async addTo(records: readonly ReadRecord[], asking: Asking): Promise<WithContents> {
    const added: ReadRecord[] = [];
    const unread = new Set<string>();
    let isIll = false;
    for (let at = 0; at < records.length; at += AT_ONCE) {
      const some = records.slice(at, at + AT_ONCE).map(async (record) => {
        try {
          return await this.#withContent(record, isIll ? undefined : asking);
        } catch (error) {
          asking.signal.throwIfAborted();
          if (!isUnread(error)) throw error;
          // Each further one would be waited for as long.
          isIll ||= isClassIll(error);
          unread.add(record.key);
          return record;
        }
      });
      added.push(...(await Promise.all(some)));
    }
    return { records: added, unread };
  }

  /** Not asked for, but what is remembered, where there is no `asking`. */
  async #withContent(record: ReadRecord, asking: Asking | undefined): Promise<ReadRecord> {
    const { key, facets } = record;
    const stamp = `${facets["identity"] ?? ""}${facets["stable"] ?? ""}`;
    const known = this.#known.get(key);
    const text = known?.stamp === stamp ? known.text : await this.#read(key, stamp, asking);
    return text === undefined
      ? record
      : { key, facets: { ...facets, [SCRIPT_CONTENT_FACET]: text } };
  }

  async #read(key: string, stamp: string, asking: Asking | undefined): Promise<string | undefined> {
    if (asking === undefined) throw notAsked;
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
