import {
  formatGuid,
  formatSecurityIdentifier,
  guidBytes,
} from "@isthmus/shared/directory/binary-identifiers";
import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_FILTERS } from "./account-filter.ts";
import { parseFilterTemplate } from "./filter-template.ts";

/** Runs `parse`: it returns or throws ProtocolError, and nothing else. */
function returnsOrRefuses(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
  }
}

const valid = Object.values(DEFAULT_FILTERS);
const mutated = fc
  .tuple(fc.constantFrom(...valid), fc.nat(200), fc.nat(20), fc.string({ maxLength: 4 }))
  .map(([text, at, removed, added]) => text.slice(0, at) + added + text.slice(at + removed));

test("a filter is read or refused, whatever it is", () => {
  const text = fc.oneof(fc.string(), mutated, fc.stringMatching(/^[()&|!=*{}:\\a2]{0,80}$/));
  fc.assert(
    fc.property(text, (each) => returnsOrRefuses(() => parseFilterTemplate(each))),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("a security identifier is read or refused, whatever its bytes are", () => {
  const near = fc
    .tuple(fc.nat(20), fc.uint8Array({ maxLength: 90 }))
    .map(([count, rest]) => Buffer.from([1, count, ...rest]));
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 90 }).map((each) => Buffer.from(each)),
    near,
  );
  fc.assert(
    fc.property(bytes, (each) => returnsOrRefuses(() => formatSecurityIdentifier(each))),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("what is written as a GUID reads back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (each) => {
      const bytes = Buffer.from(each);
      expect(guidBytes(formatGuid(bytes))).toEqual(bytes);
    }),
    { numRuns: fuzzRuns(500) },
  );
});
