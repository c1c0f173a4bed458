import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { dottedMask, dottedRoute } from "./split-route.ts";

test.each([
  ["10.0.0.0/8", "10.0.0.0/255.0.0.0"],
  ["192.0.2.128/25", "192.0.2.128/255.255.255.128"],
  ["192.0.2.1/32", "192.0.2.1/255.255.255.255"],
  ["0.0.0.0/0", "0.0.0.0/0.0.0.0"],
])("%s is %s", (network, route) => {
  expect(dottedRoute(network)).toBe(route);
});

test.each(["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/8/8", "10.0.0.0/08", "2001:db8::/32"])(
  "%s is no route of IPv4",
  (network) => {
    expect(thrownCode(() => dottedRoute(network))).toBe("route-malformed");
  },
);

test("a mask is written in four parts", () => {
  expect([8, 20, 31].map(dottedMask)).toEqual(["255.0.0.0", "255.255.240.0", "255.255.255.254"]);
});
