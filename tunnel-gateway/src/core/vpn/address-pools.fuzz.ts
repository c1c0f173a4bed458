import { ConfigurationError } from "@isthmus/shared/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ruleset } from "../../packets/host-ruleset.ts";
import { contains } from "../ip-address.ts";
import { AddressPool } from "./address-pool.ts";
import { addressPools, type PoolDocument } from "./address-pools.ts";
import { addressOfSlot, tunnelSlices } from "./tunnel-slices.ts";

const slices = tunnelSlices({
  network: "10.98.0.0/22",
  ipv6Network: "fd98::/64",
  tunnels: { name: "isthmus", count: 4 },
});

const cidr = fc
  .tuple(fc.integer({ min: 22, max: 32 }), fc.nat({ max: 1_023 }))
  .map(([prefix, at]) => {
    const first = at - (at % 2 ** (32 - prefix));
    return `10.98.${first >> 8}.${first & 255}/${prefix}`;
  });
const source = fc.constantFrom("masquerade", "none");
const text = fc.oneof(fc.string(), fc.constantFrom('" } drop #', "10.98.0.0/16", "::/0"));
const option = (arbitrary: fc.Arbitrary<string>) => fc.option(arbitrary, { nil: undefined });

function documents(network: fc.Arbitrary<string>, from: fc.Arbitrary<string>) {
  const pool: fc.Arbitrary<PoolDocument> = fc.record({
    name: fc.constantFrom("a", "b", "c"),
    networks: fc.array(network, { minLength: 1, maxLength: 2 }),
    sourceAddress: option(fc.oneof(from, fc.constant("10.1.0.9"))),
    ipv6SourceAddress: option(fc.oneof(from, fc.constant("fd01::9"))),
  });
  return fc.uniqueArray(pool, { selector: ({ name }) => name, maxLength: 3 });
}

function poolsOf(all: readonly PoolDocument[]) {
  try {
    return addressPools(all, slices);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return undefined;
  }
}

test("every slot is in the pool whose networks have its addresses, in both families, and in no other", () => {
  let taken = 0;
  fc.assert(
    fc.property(documents(cidr, source), (all) => {
      const pools = poolsOf(all);
      if (!pools) return;
      taken += pools.length;
      const addresses = new AddressPool(slices, pools);
      for (const { index: tunnel, slots, ipv4, ipv6 } of slices) {
        for (let slot = 2; slot < slots - 1; slot += 1) {
          const owner = addresses.poolOf({ tunnel, slot });
          for (const pool of pools) {
            const isIn = pool.ipv4.some((one) => contains(one, addressOfSlot(ipv4, slot)));
            const own6 = ipv6 && addressOfSlot(ipv6, slot);
            const isIn6 = own6 && pool.ipv6.some((one) => contains(one, own6));
            expect([isIn, isIn6]).toEqual([pool.name === owner, pool.name === owner]);
          }
        }
      }
    }),
  );
  // Else what is drawn is refused for its overlaps, and nothing is seen.
  expect(taken).toBeGreaterThan(10);
});

test("whatever is written for a pool, the firewall is given addresses and no other words", () => {
  const WORDS = /^(?:[ \t]*[a-z0-9 _.:,"{}!=;/-]*\n)*$/;
  fc.assert(
    fc.property(documents(fc.oneof(text, cidr), fc.oneof(text, source)), (all) => {
      const pools = poolsOf(all);
      if (!pools) return;
      const nat = { masquerade: true, interfaces: undefined, otherTraffic: "drop" } as const;
      // Less the words of its own that no pool has a part in.
      const rules = ruleset({ slices, pools, ...nat })
        .replaceAll(/@?\bip6?Clients\b|\bip6?Tcp\b|\bconnectionsRefused\b/g, "own")
        .replaceAll("ct status & confirmed == 0", "own");
      expect(rules).toMatch(WORDS);
      expect(rules).not.toContain("drop #");
    }),
  );
});
