import { ConnectorError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import type { Entry } from "ldapts";
import { expect, test } from "vitest";
import { attributesOf, recordOf } from "./domain-records.ts";

const value = fc.oneof(
  fc.string(),
  fc.constantFrom(
    "0",
    "-1",
    "20260102030405.0Z",
    "9".repeat(19),
    "<GUID=>;",
    `<GUID=${"a".repeat(36)}>;CN=a`,
  ),
  fc.uint8Array({ maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
  fc.array(fc.string(), { maxLength: 3 }),
  fc.array(
    fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 2 },
  ),
);

test.each(["device", "user", "group"] as const)("any entry becomes a %s or is refused", (kind) => {
  const attributes = attributesOf(kind).filter((name) => name !== "objectGUID");
  const entry = fc
    .tuple(fc.string(), fc.dictionary(fc.constantFrom(...attributes), value), fc.boolean())
    .map(
      ([dn, of, hasKey]): Entry => ({
        ...of,
        dn,
        ...(hasKey && { objectGUID: Buffer.alloc(16, 1) }),
      }),
    );
  fc.assert(
    fc.property(entry, (of) => {
      try {
        for (const text of Object.values(recordOf(kind, of, "corp.test").facets)) {
          expect(JSON.stringify(JSON.parse(text))).toBe(text);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ConnectorError);
      }
    }),
    { numRuns: fuzzRuns(1_000) },
  );
});
