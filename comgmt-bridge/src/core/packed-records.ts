import { isAscii } from "node:buffer";

/** Many records that were read for the same facets, as they pass from thread to thread: no string, and no name, for each of their texts. */
export interface PackedRecords {
  readonly keys: readonly string[];
  /** UTF-8 of the texts, record by record those of each facet that was asked for, in that order; nothing stands between them, anything behind them. */
  readonly octets: Uint8Array;
  /** Octets of each of them; 0 for a facet that is not there. */
  readonly lengths: Int32Array;
}

export const EMPTY: PackedRecords = {
  ...{ keys: [], octets: new Uint8Array(), lengths: new Int32Array() },
};

/** A record, with the text of each facet that was asked for. */
export interface RecordTexts {
  readonly key: string;
  /** Undefined for a facet that is not there. */
  readonly texts: readonly (string | undefined)[];
}

export function* unpacked({ keys, octets, lengths }: PackedRecords): Generator<RecordTexts> {
  const bytes = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  // One text for all, of which others are parts, costs less than one for each; in UTF-8 nobody knows where a part begins.
  const whole = isAscii(bytes) ? bytes.toString("latin1") : undefined;
  const count = lengths.length / Math.max(1, keys.length);
  let from = 0;
  for (const [record, key] of keys.entries()) {
    const texts: (string | undefined)[] = [];
    for (let facet = 0; facet < count; facet += 1) {
      const to = from + (lengths[record * count + facet] ?? 0);
      texts.push(
        from === to ? undefined : (whole?.slice(from, to) ?? bytes.toString("utf8", from, to)),
      );
      from = to;
    }
    yield { key, texts };
  }
}
