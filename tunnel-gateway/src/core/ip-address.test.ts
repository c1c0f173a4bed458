import { describe, expect, test } from "vitest";
import {
  bitsAt,
  contains,
  containsNetwork,
  formatAddress,
  parseAddress,
  parseCidr,
} from "./ip-address.ts";

function address(text: string) {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`${text} is no address`);
  return parsed;
}

function network(text: string) {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(`${text} is no network`);
  return parsed;
}

test.each([
  "0.0.0.0",
  "10.1.2.3",
  "255.255.255.255",
  "::",
  "::1",
  "1::",
  "2001:db8::1",
  "2001:db8:0:1:1:1:1:1",
  "2001:0:0:1::1",
  "1:2:3:4:5:6:7:8",
])("%s is read", (text) => {
  expect(formatAddress(address(text))).toBe(text);
});

test("an IPv4-mapped address is the IPv4 address that it reaches", () => {
  expect(address("::ffff:10.1.2.3")).toEqual(address("10.1.2.3"));
  expect(address("::ffff:a01:203")).toEqual(address("10.1.2.3"));
});

test.each([
  "",
  "10.1.2",
  "010.1.2.3",
  "0x0a.1.2.3",
  "167838211",
  "10.1.2.256",
  "fe80::1%eth0",
  "::ffff:010.1.2.3",
  ":::",
  "1::2::3",
  "host",
])("%s is no address", (text) => {
  expect(parseAddress(text)).toBeUndefined();
});

describe("networks", () => {
  test.each(["10.1.2.3/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8", "::1/64"])(
    "%s is none",
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );

  test("an address alone is a network of one", () => {
    expect(network("10.1.2.3").prefix).toBe(32);
    expect(network("::1").prefix).toBe(128);
  });

  test("a mapped network is the IPv4 network", () => {
    expect(network("::ffff:10.0.0.0/104")).toEqual(network("10.0.0.0/8"));
  });

  test("membership ends at the network's edges and at its family", () => {
    const ten = network("10.0.0.0/8");
    expect(contains(ten, address("10.255.255.255"))).toBe(true);
    expect(contains(ten, address("11.0.0.0"))).toBe(false);
    expect(contains(network("::/0"), address("10.0.0.1"))).toBe(false);
    expect(contains(network("0.0.0.0/0"), address("::1"))).toBe(false);
  });

  test("a network contains itself and narrower ones, never wider ones", () => {
    expect(containsNetwork(network("10.0.0.0/8"), network("10.0.0.0/8"))).toBe(true);
    expect(containsNetwork(network("10.0.0.0/8"), network("10.1.0.0/16"))).toBe(true);
    expect(containsNetwork(network("10.1.0.0/16"), network("10.0.0.0/8"))).toBe(false);
  });
});

test("bits are counted from the most significant one", () => {
  expect(bitsAt(address("2002:c000:201::"), 16, 32)).toBe(0xc000_0201n);
});
