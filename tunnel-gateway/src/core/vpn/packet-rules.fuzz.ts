import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { judgePacked } from "../../testing/packed-rule-oracle.ts";
import { AccessControl } from "../access.ts";
import type { DestinationSet } from "../destination.ts";
import { DeviceDirectory } from "../device.ts";
import { compileEgress, type EgressSurroundings } from "../egress.ts";
import { bitsOf, type Cidr, type IpAddress, parseAddress } from "../ip-address.ts";
import { compilePolicies, type Policy } from "../policy.ts";
import { ALL_PORTS } from "../port-range.ts";
import { RevocationKnowledge } from "../revocation.ts";
import { packRules } from "./packed-rules.ts";
import { compilePacketRules } from "./packet-rules.ts";
import { NO_VPN } from "./vpn-rules.ts";

const TCP = 6;

function at(text: string): IpAddress {
  const address = parseAddress(text);
  if (!address) throw new TypeError(text);
  return address;
}

const IPV4 = ["10.0.0.1", "10.0.0.2", "10.0.0.9", "10.1.0.1", "127.0.0.1", "169.254.169.254"]
  .concat(["0.0.0.0", "0.0.0.1", "224.0.0.1", "192.0.2.1", "192.0.2.255", "198.51.100.7"])
  .map(at);
const IPV6 = ["2001:db8::1", "2001:db8::2", "fd00:ec2::254", "::1", "fe80::1", "2a00::1"].map(at);
const ipv4 = fc.constantFrom(...IPV4);

/** Every way in which an IPv6 address can carry an IPv4 address, and some that only look alike. */
const embedding: fc.Arbitrary<IpAddress> = fc
  .tuple(ipv4, ipv4, fc.nat({ max: 9 }))
  .map(([{ value: one }, { value: other }, form]) => {
    const inverted = one ^ 0xffff_ffffn;
    const values = [
      (0x64_ff9bn << 96n) | one,
      (0x64_ff9b_0001n << 80n) | one,
      (0x64_ff9b_0001n << 80n) | ((one >> 16n) << 64n) | ((one & 0xffffn) << 40n),
      (0x64_ff9b_0001n << 80n) | ((one >> 16n) << 64n) | ((one & 0xffffn) << 40n) | other,
      (0x2002n << 112n) | (one << 80n) | 1n,
      (0x2001n << 112n) | (other << 64n) | inverted,
      one,
      (0xffffn << 48n) | one,
      (0x2001_0db8n << 96n) | (0x5efen << 32n) | one,
      (0x2a00n << 112n) | (0x200_5efen << 32n) | one,
    ];
    return { family: 6, value: values[form] ?? 0n };
  });
const address = fc.oneof(ipv4, fc.constantFrom(...IPV6), embedding);

const network: fc.Arbitrary<Cidr> = fc
  .tuple(address, fc.constantFrom(0, 3, 8, 24, 30, 31, 32))
  .map(([{ family, value }, free]) => {
    const bits = bitsOf(family);
    const prefix = free === 0 ? bits : Math.round((bits * free) / 32);
    const shift = BigInt(bits - prefix);
    return { family, prefix, value: (value >> shift) << shift };
  });
const everything = fc.constantFrom<4 | 6>(4, 6).map((family) => ({ family, prefix: 0, value: 0n }));
const wide = fc.oneof(network, network, everything);
const ports = fc.oneof(
  fc.constant(ALL_PORTS),
  fc.integer({ min: 1, max: 5 }).map((from) => [{ from, to: from + 1 }]),
);
const set: fc.Arbitrary<DestinationSet> = fc.record({
  kind: fc.constant("network" as const),
  network: wide,
  ports,
});
const policies: fc.Arbitrary<Policy[]> = fc.array(
  fc.record({
    name: fc.constantFrom("p", "q"),
    groups: fc.uniqueArray(fc.constantFrom("a", "b", "*"), { minLength: 1 }),
    rules: fc.array(
      fc.record({
        name: fc.constantFrom("r", "s", "t"),
        action: fc.constantFrom("allow" as const, "allow" as const, "deny" as const),
        protocol: fc.constantFrom(undefined, "tcp" as const, "udp" as const, "any" as const),
        destinations: fc.array(set, { minLength: 1, maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  }),
  { minLength: 1, maxLength: 3 },
);
const surroundings: fc.Arbitrary<EgressSurroundings> = fc.record({
  allowedInternal: fc.array(fc.record({ network, ports }), { maxLength: 3 }),
  controlNetwork: fc.array(network, { maxLength: 1 }),
  ownAddresses: fc.array(address, { maxLength: 2 }),
  broadcastAddresses: fc.array(ipv4, { maxLength: 1 }),
  ownListeners: fc.array(
    fc.record({ address: fc.option(address, { nil: undefined }), port: fc.nat({ max: 6 }) }),
    { maxLength: 2 },
  ),
});

test("packets of TCP are judged as connections of the relay", () => {
  const groups = fc.uniqueArray(fc.constantFrom("a", "b", "c"));
  const bounds = fc.option(fc.array(set, { minLength: 1, maxLength: 3 }), { nil: undefined });
  const packets = fc.array(fc.tuple(address, fc.integer({ min: 1, max: 7 })), { minLength: 20 });
  let allowed = 0;
  fc.assert(
    fc.property(policies, surroundings, bounds, groups, packets, (all, around, bound, of, sent) => {
      const access = accessWith(all, around, bound);
      const rules = compilePacketRules(
        { groups: of, dns: undefined },
        { policies: all, bound, egress: around },
      );
      const packed = packRules(rules, () => 1);
      const device = {
        deviceId: "d",
        groups: of,
        compliance: "compliant",
        removed: false,
      } as const;
      for (const [destination, port] of sent) {
        const relay = access.judgeDestination(device, {
          name: undefined,
          address: destination,
          port,
        });
        const verdict = judgePacked(packed, { destination, protocol: TCP, port });
        expect(verdict.isAllowed).toBe(relay.refusal === undefined);
        if (verdict.isAllowed) allowed += 1;
      }
    }),
    { numRuns: fuzzRuns(3_000) },
  );
  // The test would say nothing if nearly all were denied.
  expect(allowed).toBeGreaterThan(fuzzRuns(3_000));
});

function accessWith(
  policiesInForce: readonly Policy[],
  around: EgressSurroundings,
  bound: readonly DestinationSet[] | undefined,
): AccessControl {
  return new AccessControl({
    rules: {
      policy: compilePolicies(policiesInForce),
      policies: policiesInForce,
      vpn: NO_VPN,
      ageLimits: { maximumAgeMs: 0, graceMs: 0 },
      freshness: { softAgeMs: 0, hardAgeMs: 0 },
    },
    local: { anchors: new Map(), egress: compileEgress(around), bound },
    clock: { now: () => 0 },
    devices: () => new DeviceDirectory(),
    knowledge: new RevocationKnowledge(),
    deviceFreshness: () => ({ source: "list" }),
  });
}
