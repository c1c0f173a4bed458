import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compileEgress } from "./egress.ts";
import { parseAddress } from "./ip-address.ts";

const guard = compileEgress({
  allowedInternal: [],
  controlNetwork: [],
  ownAddresses: [],
  broadcastAddresses: [],
  ownListeners: [],
});

const octet = fc.nat(255);
const forbidden = fc.oneof(
  fc.tuple(fc.constant(127), octet, octet, octet),
  fc.tuple(fc.constant(0), octet, octet, octet),
  fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
  fc.tuple(fc.integer({ min: 224, max: 255 }), octet, octet, octet),
);
const groups = ([a, b, c, d]: readonly number[], flip = 0) =>
  [((a ?? 0) << 8) | (b ?? 0), ((c ?? 0) << 8) | (d ?? 0)]
    .map((group) => (group ^ flip).toString(16))
    .join(":");

/** Every way to write or to wrap an IPv4 address that some stack would follow. */
const FORMS: readonly ((octets: readonly number[], interfaceBits: string) => string)[] = [
  (octets) => octets.join("."),
  (octets) => `::ffff:${octets.join(".")}`,
  (octets) => `::ffff:${groups(octets)}`,
  (octets) => `0:0:0:0:0:FFFF:${groups(octets).toUpperCase()}`,
  (octets) => `::ffff:0:${octets.join(".")}`,
  (octets) => `64:ff9b::${octets.join(".")}`,
  (octets) => `64:ff9b:0:0:0:0:${groups(octets)}`,
  (octets) => `64:ff9b:1::${groups(octets)}`,
  ([a = 0, b = 0, c = 0, d = 0]) =>
    `64:ff9b:1:${((a << 8) | b).toString(16)}:${c.toString(16)}:${(d << 8).toString(16)}::`,
  (octets, rest) => `2002:${groups(octets)}::${rest}`,
  (octets, rest) => `2001:0:${groups(octets)}::${rest}`,
  (octets) => `2001:0:102:304::${groups(octets, 0xffff)}`,
  (octets) => `::${octets.join(".")}`,
  (octets, rest) => `2001:db8:${rest}::5efe:${octets.join(".")}`,
  (octets, rest) => `2001:db8:${rest}::200:5efe:${groups(octets)}`,
];

test("a forbidden address is forbidden in every representation", () => {
  fc.assert(
    fc.property(
      forbidden,
      fc.constantFrom(...FORMS),
      fc.integer({ min: 1, max: 0xffff }),
      fc.integer({ min: 1, max: 65_535 }),
      (octets, form, rest, port) => {
        const text = form(octets, rest.toString(16));
        const address = parseAddress(text);
        // What is read as no address at all is refused before it comes here.
        if (address) expect(guard.judge(address, port), text).toBeDefined();
      },
    ),
    { numRuns: fuzzRuns(20_000) },
  );
});

test("every form is read as an address for some octets, so that the test above tests it", () => {
  for (const form of FORMS) {
    expect(parseAddress(form([169, 254, 169, 254], "1")), form.toString()).toBeDefined();
  }
});
