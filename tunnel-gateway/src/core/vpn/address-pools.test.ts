import { expect, test } from "vitest";
import { addressPools, formatNetwork, type PoolDocument, translatedTo } from "./address-pools.ts";
import { tunnelSlices } from "./tunnel-slices.ts";

const options = { network: "10.98.0.0/16", tunnels: { name: "isthmus", count: 4 } };
const slices = tunnelSlices({ ...options, ipv6Network: "fd98::/64" });

function poolOf(change: Partial<PoolDocument>, of = slices) {
  const [pool] = addressPools([{ name: "staff", networks: ["10.98.0.0/20"], ...change }], of);
  if (!pool) throw new Error("no pool");
  return pool;
}

test("a network within one slice has that part of its slots, and their addresses of both families", () => {
  const pool = poolOf({ networks: ["10.98.80.0/20"] });
  expect(pool.slots).toEqual([{ tunnel: 1, first: 4_096, end: 8_192 }]);
  expect(pool.ipv4.map(formatNetwork)).toEqual(["10.98.80.0/20"]);
  expect(pool.ipv6.map(formatNetwork)).toEqual(["fd98::4000:0:0:1000/116"]);
});

test("a network of several slices has all of them, and several networks are one pool", () => {
  const pool = poolOf({ networks: ["10.98.128.0/17", "10.98.0.0/24"] });
  expect(pool.slots).toEqual([
    { tunnel: 2, first: 0, end: 16_384 },
    { tunnel: 3, first: 0, end: 16_384 },
    { tunnel: 0, first: 0, end: 256 },
  ]);
  expect(pool.ipv6.map(formatNetwork)).toEqual([
    "fd98::8000:0:0:0/114",
    "fd98::c000:0:0:0/114",
    "fd98::/120",
  ]);
});

test("the addresses that the host has to have are named in their usual text", () => {
  const pool = poolOf({ sourceAddress: "10.1.0.9", ipv6SourceAddress: "FD01:0::9" });
  expect(translatedTo(pool)).toEqual(["10.1.0.9", "fd01::9"]);
  expect(translatedTo(poolOf({ sourceAddress: "none", ipv6SourceAddress: "masquerade" }))).toEqual(
    [],
  );
});

test.each([
  [{ networks: ["10.99.0.0/20"] }, "vpn.pools.0.networks.0: 10.99.0.0/20 does not lie within"],
  [{ networks: ["10.0.0.0/8"] }, "does not lie within"],
  [{ networks: ["10.98.0.0/20", "fd98::/112"] }, "vpn.pools.0.networks.1: fd98::/112 is no"],
  [{ networks: ["10.98.0.1/20"] }, "is no network"],
  [{ networks: ["10.98.0.0/20", "10.98.1.0/24"] }, "10.98.1.0/24 has addresses of staff"],
  [{ sourceAddress: "fd01::9" }, "vpn.pools.0.sourceAddress"],
  [{ sourceAddress: "10.1.0.0/24" }, "vpn.pools.0.sourceAddress"],
  [{ sourceAddress: "10.98.200.7" }, "vpn.pools.0.sourceAddress: 10.98.200.7 is a client's"],
  [{ ipv6SourceAddress: "fd98::7" }, "vpn.pools.0.ipv6SourceAddress: fd98::7 is a client's"],
  [{ ipv6SourceAddress: "eth0; reboot" }, "vpn.pools.0.ipv6SourceAddress"],
])("a pool that cannot be is refused with its key: %o", (change, message) => {
  expect(() => poolOf(change)).toThrow(message);
});

test("two pools have neither a name nor an address in common", () => {
  const one = { name: "staff", networks: ["10.98.0.0/20"] };
  expect(() => addressPools([one, { ...one, networks: ["10.98.16.0/20"] }], slices)).toThrow(
    "two pools are called staff",
  );
  expect(() => addressPools([one, { ...one, name: "guests" }], slices)).toThrow(
    "vpn.pools.1.networks.0: 10.98.0.0/20 has addresses of staff",
  );
});

test("an IPv6 address stands for nobody where clients have none", () => {
  const withoutIpv6 = tunnelSlices(options);
  expect(poolOf({}, withoutIpv6).ipv6).toEqual([]);
  expect(() => poolOf({ ipv6SourceAddress: "fd01::9" }, withoutIpv6)).toThrow("vpn.ipv6Network");
});
