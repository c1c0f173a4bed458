import type { ConnectorError } from "@isthmus/shared/errors";
import { LearntLimit } from "../core/learnt-limit.ts";
import { endsAtOnce, faultOfEnds, type OpenEnd, rowsOf } from "../core/range-ends.ts";
import { readPlainRows } from "../protocol/admin-service/page-rows.ts";
import type { Filter } from "../protocol/admin-service/query.ts";
import type { Asking } from "./admin-service-client.ts";
import type { AnswerBody } from "./answer-body.ts";
import { within } from "./key-filter.ts";
import { mayBeOfTheForm } from "./refused-form.ts";
import type { LaidOutTable } from "./site-tables.ts";

/** Own limit: bounded by the length of a request line. */
const MOST_ENDS = 16;

type Ask = (
  table: LaidOutTable,
  filter: Filter,
  top: number,
  asking: Asking,
) => Promise<AnswerBody>;

/**
 * Asks whether parts of a range really end where they seem to: of many at once, as long as the site answers such filters as it answers
 * those for one part. One that does not is asked for one part at a time for a long while.
 */
export class EndProofs {
  readonly #ask: Ask;
  readonly #onOneAtATime: (why: ConnectorError) => void;
  readonly #mostEnds = new LearntLimit(MOST_ENDS);

  /** `onOneAtATime` is told what showed that the site has to be asked so. */
  constructor(ask: Ask, onOneAtATime: (why: ConnectorError) => void = () => {}) {
    this.#ask = ask;
    this.#onOneAtATime = onOneAtATime;
  }

  /** The fault of the first part behind which there is more, or less. Throws what the client throws. */
  async shortEnd(
    table: LaidOutTable,
    { ends, mostRows }: { readonly ends: readonly OpenEnd[]; readonly mostRows: number },
    asking: Asking,
  ): Promise<ConnectorError | undefined> {
    for (let at = 0; at < ends.length; ) {
      const together = endsAtOnce(ends.slice(at), { ends: this.#mostEnds.now, rows: mostRows });
      const isOne = together.length === 1;
      const fault = await (isOne
        ? this.#faultOf(table, together, asking)
        : this.#faultOfSeveral(table, together, asking));
      if (fault !== undefined) return fault;
      at += together.length;
    }
    return undefined;
  }

  /** Only what the site says of one part alone counts against it. */
  async #faultOfSeveral(
    table: LaidOutTable,
    ends: readonly OpenEnd[],
    asking: Asking,
  ): Promise<ConnectorError | undefined> {
    const doubt = await this.#doubtOf(table, ends, asking);
    if (doubt === undefined) return undefined;
    for (const end of ends) {
      const fault = await this.#faultOf(table, [end], asking);
      if (fault !== undefined) return fault;
    }
    this.#onOneAtATime(doubt);
    this.#mostEnds.lower(1);
    return undefined;
  }

  async #doubtOf(
    table: LaidOutTable,
    ends: readonly OpenEnd[],
    asking: Asking,
  ): Promise<ConnectorError | undefined> {
    try {
      return await this.#faultOf(table, ends, asking);
    } catch (error) {
      if (!asking.signal.aborted && mayBeOfTheForm(error)) return error;
      throw error;
    }
  }

  /** Asks from the last key of each part on for one row more than there were of those keys. */
  async #faultOf(
    table: LaidOutTable,
    ends: readonly OpenEnd[],
    asking: Asking,
  ): Promise<ConnectorError | undefined> {
    const { keyName } = table;
    const parts = ends.map((end) => within(keyName, end));
    const [only = { kind: "or", parts }] = parts.length === 1 ? parts : [];
    const body = await this.#ask({ ...table, select: [keyName] }, only, rowsOf(ends) + 1, asking);
    const { rows, hasMore } = readPlainRows(body.whole);
    this.#mostEnds.answered();
    const keys = rows.map((row) => row[keyName]);
    return hasMore ? ends.at(-1)?.fault : faultOfEnds(ends, keys);
  }
}
