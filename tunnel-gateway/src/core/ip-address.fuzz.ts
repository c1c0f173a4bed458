import { isIP } from "node:net";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatAddress, parseAddress } from "./ip-address.ts";

const VALID = ["10.1.2.3", "2001:db8::1", "64:ff9b::10.1.2.3", "::", "1:2:3:4:5:6:7:8"];

test("what is read is an address to others too, and reads the same again", () => {
  const hostile = hostileBytes(VALID.map((text) => Buffer.from(text)));
  fc.assert(
    fc.property(hostile, (bytes) => {
      const text = bytes.toString("latin1");
      const address = parseAddress(text);
      expect(address !== undefined).toBe(isIP(text) !== 0 && !text.includes("%"));
      if (address) expect(parseAddress(formatAddress(address))).toEqual(address);
    }),
    { numRuns: fuzzRuns(20_000) },
  );
});

test("an IPv6 address is written as a URL writes it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 }),
      (groups) => {
        const text = groups.map((group) => group.toString(16)).join(":");
        const address = parseAddress(text);
        if (address?.family !== 6) return;
        expect(`[${formatAddress(address)}]`).toBe(new URL(`http://[${text}]/`).hostname);
      },
    ),
    { numRuns: fuzzRuns(5_000) },
  );
});
