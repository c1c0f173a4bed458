import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes, returnsOrRefuses } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseConnectRequest } from "./connect-request.ts";

const text = (valid: readonly string[]) =>
  hostileBytes(valid.map((one) => Buffer.from(one))).map((bytes) => bytes.toString("latin1"));
const head = fc.record({
  method: fc.oneof(
    { weight: 9, arbitrary: fc.constant("CONNECT") },
    { weight: 1, arbitrary: text(["GET"]) },
  ),
  target: text(["intranet.example:443", "[2001:db8::1]:80"]),
  version: fc.constantFrom("1.1", "1.0", ""),
  rawHeaders: fc.array(text(["Host", "intranet.example:443", "Content-Length", "0"]), {
    maxLength: 8,
  }),
});

test("hostile heads are read or refused", () => {
  fc.assert(
    fc.property(head, (one) => returnsOrRefuses(() => parseConnectRequest(one))),
    { numRuns: fuzzRuns(10_000) },
  );
});

test("what is read agrees with its Host field", () => {
  fc.assert(
    fc.property(text(["intranet.example:443", "10.0.0.1:80"]), (target) => {
      const rawHeaders = ["Host", target];
      returnsOrRefuses(() => {
        const read = parseConnectRequest({ method: "CONNECT", target, version: "1.1", rawHeaders });
        expect(target.toLowerCase()).toContain(read.kind === "ipv6" ? "[" : read.host);
      });
    }),
    { numRuns: fuzzRuns(10_000) },
  );
});
