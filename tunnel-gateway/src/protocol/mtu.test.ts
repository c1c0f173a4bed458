import { expect, test } from "vitest";
import { tunnelMtu } from "./mtu.ts";

const path = (base: number | undefined, inner?: number, isIpv6 = false) =>
  tunnelMtu({ base, inner, isIpv6 });

test.each([
  [1_500, false, { base: 1_500, tls: 1_472, dtls: 1_434 }],
  [1_500, true, { base: 1_500, tls: 1_452, dtls: 1_414 }],
  [1_280, false, { base: 1_280, tls: 1_252, dtls: 1_214 }],
  [1_406, false, { base: 1_406, tls: 1_378, dtls: 1_340 }],
])("a path of %i bytes, IPv6 %s", (base, isIpv6, expected) => {
  expect(path(base, 1_390, isIpv6)).toEqual(expected);
});

test("a client that knows no path is taken at its word about the tunnel", () => {
  expect(path(undefined, 1_390)).toEqual({ base: 1_456, tls: 1_390, dtls: 1_390 });
});

test("a client that knows nothing has Ethernet", () => {
  expect(path(undefined)).toEqual(path(1_500));
});

test("the loopback's path and jumbo frames count as Ethernet, and no tunnel is smaller than 576", () => {
  expect(path(65_535)).toEqual(path(1_500));
  expect(path(9_000)).toEqual(path(1_500));
  expect(path(600)).toEqual({ base: 600, tls: 576, dtls: 576 });
  expect(path(1)).toEqual({ base: 576, tls: 576, dtls: 576 });
});
