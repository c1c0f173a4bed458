import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readOneRow, readOperationId, readReturned, readRows } from "./answer.ts";
import { type Asked, errorOfAnswer } from "./answer-error.ts";
import { compare, queryText } from "./query.ts";
import { DEVICE, readRow, SYSTEM } from "./rows.ts";

/** What `act` returns; undefined where it throws what belongs to us. */
function unlessRefused<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

const body = fc.oneof(
  fc.uint8Array({ maxLength: 500 }),
  fc.json().map((text) => Buffer.from(text)),
  fc
    .record(
      { value: fc.jsonValue(), OperationId: fc.jsonValue(), "@odata.nextLink": fc.jsonValue() },
      { requiredKeys: [] },
    )
    .map((answer) => Buffer.from(JSON.stringify(answer))),
);

function annotations(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const isOne = !Array.isArray(value) && (name.startsWith("__") || name.includes("@odata."));
    return isOne ? [name] : annotations(inner);
  });
}

test("an answer gives rows without annotations, or a coded error", () => {
  fc.assert(
    fc.property(body, (bytes) => {
      const answer = unlessRefused(() => readRows(bytes));
      for (const row of answer?.rows ?? []) expect(annotations(row)).toEqual([]);
      unlessRefused(() => readOneRow(bytes));
      unlessRefused(() => readReturned(bytes));
      const id = unlessRefused(() => readOperationId(bytes));
      expect(id === undefined || Number.isSafeInteger(id)).toBe(true);
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("an answer that breaks off is refused, wherever it does", () => {
  const rows = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 });
  fc.assert(
    fc.property(rows, fc.nat(), (value, cut) => {
      const text = JSON.stringify({ value });
      const part = Buffer.from(text.slice(0, cut % text.length));
      expect(unlessRefused(() => readRows(part))).toBeUndefined();
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("whatever a site refuses with, there is a code and a short sentence in one line", () => {
  const asked = fc.constantFrom<Asked>("rows", "script", "cmpivot-result", "action");
  const error = fc.record({
    error: fc.record({ message: fc.jsonValue(), innererror: fc.jsonValue() }),
  });
  const refusal = fc.oneof(
    body,
    error.map((value) => Buffer.from(JSON.stringify(value))),
  );
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 999 }), refusal, asked, (status, bytes, what) => {
      const made = errorOfAnswer({ status, body: bytes, path: "wmi/X", asked: what });
      expect(made).toBeInstanceOf(ConnectorError);
      expect(made.code).toMatch(/^[a-z][a-z-]+$/);
      expect(made.message).not.toMatch(/\p{Cc}/u);
      expect(made.message.length).toBeLessThan(800);
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("no property of a row is lost, whatever it is called", () => {
  const name = fc.string({ minLength: 1 }).filter((text) => text !== "__proto__");
  const row = fc.dictionary(
    fc.oneof(name, fc.constantFrom("Name", "ResourceID", "ResourceId", "MachineId", "SMSID")),
    fc.oneof(fc.jsonValue(), fc.integer({ min: 1, max: 99 })),
  );
  fc.assert(
    fc.property(row, (properties) => {
      for (const of of [DEVICE, SYSTEM]) {
        const read = unlessRefused(() => readRow<typeof of.fields.shape>(of as never, properties));
        if (read === undefined) continue;
        const names = [...Object.keys(read.known), ...Object.keys(read.others)].length;
        expect(names).toBe(Object.keys(properties).length);
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("no text leaves its quotes in a filter", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
      const query = unlessRefused(() => queryText({ filter: compare("Name", "eq", text) }));
      if (query === undefined) return;
      const filter = new URLSearchParams(query).get("$filter") ?? "";
      const [, quoted = ""] = /^Name eq '((?:[^']|'')*)'$/s.exec(filter) ?? [];
      expect(quoted.replaceAll("''", "'")).toBe(text);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
