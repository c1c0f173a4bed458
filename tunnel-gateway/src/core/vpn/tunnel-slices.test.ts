import { expect, test } from "vitest";
import { formatAddress } from "../ip-address.ts";
import { gatewayAddress, tunnelSlices } from "./tunnel-slices.ts";

const good = {
  network: "10.98.0.0/16",
  ipv6Network: "fd98::/112" as string | undefined,
  tunnels: { name: "isthmus", count: 4 },
};

test("a pool is cut into one subnet per tunnel, in both families", () => {
  const slices = tunnelSlices(good);
  expect(slices.map(({ ipv4 }) => `${formatAddress(ipv4)}/${ipv4.prefix}`)).toEqual([
    "10.98.0.0/18",
    "10.98.64.0/18",
    "10.98.128.0/18",
    "10.98.192.0/18",
  ]);
  expect(slices.map(({ ipv6 }) => ipv6 && gatewayAddress(ipv6))).toEqual([
    "fd98::1/114",
    "fd98::4001/114",
    "fd98::8001/114",
    "fd98::c001/114",
  ]);
  expect(slices.map(({ device, slots }) => [device, slots])).toEqual([
    ["isthmus0", 16_384],
    ["isthmus1", 16_384],
    ["isthmus2", 16_384],
    ["isthmus3", 16_384],
  ]);
});

test.each([
  [{ network: "10.98.0.0/29", tunnels: { name: "t", count: 2 } }, "too small"],
  [{ network: "10.0.0.0/8" }, "more than 65536"],
  [{ network: "169.254.0.0/16" }, "metadata"],
  [{ network: "fd98::/112" }, "vpn.network"],
  [{ ipv6Network: "10.98.0.0/16" }, "vpn.ipv6Network"],
  [{ ipv6Network: "fd98::/120" }, "fewer addresses"],
  [{ network: "10.98.0.1/16" }, "no network"],
])("a pool that cannot serve is refused with its key: %o", (change, message) => {
  expect(() => tunnelSlices({ ...good, ...change })).toThrow(message);
});
