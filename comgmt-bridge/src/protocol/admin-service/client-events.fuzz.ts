import { ProtocolError } from "@isthmus/shared/errors";
import { clientEvent } from "@isthmus/shared/link/client-events";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readClientEvents } from "./client-events.ts";

const names = ["EventTime", "DateTime", "EventID", "Level", "Message", "ProviderName", "EventName"];
const value = fc.oneof(
  fc.jsonValue(),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.string({ unit: "binary", maxLength: 6_000 }),
  fc.double(),
);
const row = fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), value, { maxKeys: 50 });
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .array(row, { maxLength: 8 })
    .map((rows) => Buffer.from(JSON.stringify({ "@odata.context": "x", value: rows }))),
);

test("whatever a site says of its clients' events, what is read of it fits the wire, or the answer is refused", () => {
  fc.assert(
    fc.property(bytes, (body) => {
      try {
        const events = readClientEvents(body);
        expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
        for (const { at, ...event } of events) {
          const told = { ...event, at: at ?? 0 };
          expect(clientEvent.parse(JSON.parse(JSON.stringify(told)))).toEqual(told);
          expect(JSON.stringify(told).isWellFormed()).toBe(true);
        }
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }),
    { numRuns: fuzzRuns(1_000) },
  );
});
