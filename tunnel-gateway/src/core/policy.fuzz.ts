import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Destination, type DestinationSet, isMember } from "./destination.ts";
import { bitsOf, type Cidr } from "./ip-address.ts";
import { compilePolicies, type Policy } from "./policy.ts";

const GROUPS = ["a", "b", "*"];
const NAMES = ["one.example", "two.example"];
const ports = fc
  .integer({ min: 1, max: 6 })
  .chain((from) => fc.integer({ min: from, max: 6 }).map((end) => [{ from, to: end }]));

/** Few distinct bits, so that networks nest and meet. */
const network: fc.Arbitrary<Cidr> = fc
  .tuple(fc.constantFrom<4 | 6>(4, 6), fc.integer({ min: 0, max: 6 }), fc.nat(63))
  .map(([family, prefix, bits]) => {
    const shift = BigInt(bitsOf(family) - prefix);
    return {
      family,
      prefix,
      value: ((BigInt(bits) << BigInt(bitsOf(family) - 6)) >> shift) << shift,
    };
  });
const set: fc.Arbitrary<DestinationSet> = fc.oneof(
  fc.record({ kind: fc.constant("name" as const), name: fc.constantFrom(...NAMES), ports }),
  fc.record({ kind: fc.constant("network" as const), network, ports }),
);
const policies: fc.Arbitrary<Policy[]> = fc.array(
  fc.record({
    name: fc.constantFrom("p", "q"),
    groups: fc.uniqueArray(fc.constantFrom(...GROUPS), { minLength: 1 }),
    rules: fc.array(
      fc.record({
        name: fc.constantFrom("r", "s", "t"),
        action: fc.constantFrom("allow" as const, "deny" as const),
        destinations: fc.array(set, { minLength: 1, maxLength: 3 }),
      }),
      { maxLength: 4 },
    ),
  }),
  { maxLength: 4 },
);
const destination: fc.Arbitrary<Destination> = fc.record({
  name: fc.constantFrom(undefined, ...NAMES),
  address: fc.tuple(fc.constantFrom<4 | 6>(4, 6), fc.nat(63)).map(([family, bits]) => ({
    family,
    // A first bit that no embedding of IPv4 has, so that one look-up is the whole verdict.
    value: (BigInt(bits) << BigInt(bitsOf(family) - 6)) | (1n << BigInt(bitsOf(family) - 7)),
  })),
  port: fc.integer({ min: 1, max: 7 }),
});
const memberships = fc.uniqueArray(fc.constantFrom("a", "b", "c"));

/** The rules of a configuration as a person reads them: one after the other. */
function readThrough(all: readonly Policy[], groups: readonly string[], to: Destination) {
  for (const policy of all) {
    if (!policy.groups.some((group) => group === "*" || groups.includes(group))) continue;
    for (const rule of policy.rules) {
      if (rule.destinations.some((one) => isMember(one, to))) {
        return { action: rule.action, rule: `${policy.name}/${rule.name}` };
      }
    }
  }
  return { action: "deny", rule: "default-deny" };
}

test("the compiled matcher says what reading rule by rule says", () => {
  fc.assert(
    fc.property(policies, memberships, destination, (all, groups, to) => {
      expect(compilePolicies(all).judge(groups, to)).toEqual(readThrough(all, groups, to));
    }),
    { numRuns: fuzzRuns(5_000) },
  );
});

test("a name that is refused unresolved would be refused at every address", () => {
  fc.assert(
    fc.property(policies, memberships, destination, (all, groups, to) => {
      const matcher = compilePolicies(all);
      if (to.name === undefined) return;
      const verdict = matcher.judgeName(groups, to.name, to.port);
      if (verdict) expect(matcher.judge(groups, to).action).toBe("deny");
    }),
    { numRuns: fuzzRuns(5_000) },
  );
});
