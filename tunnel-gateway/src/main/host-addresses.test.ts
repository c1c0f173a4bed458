import { expect, test } from "vitest";
import { currentAddresses, localIpv4, localIpv6 } from "./host-addresses.ts";

const FIB_TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 10.5.5.0/24 2 0 2
        |-- 10.5.5.0
           /24 link UNICAST
Local:
        |-- 10.5.5.1
           /32 host LOCAL
        |-- 10.5.5.255
           /32 link BROADCAST
        |-- 127.0.0.1
           /32 host LOCAL
`;

test("an address on a device without carrier is the host's own too", () => {
  expect(localIpv4(FIB_TRIE)).toEqual(["10.5.5.1/32", "127.0.0.1/32"]);
  const line = "fd980000000000000000000000000001 05 40 00 80 isthmus0";
  expect(localIpv6(`${line}\nno address\n`)).toEqual(["fd98::1/128"]);
});

test("no address is named twice", () => {
  const addresses = currentAddresses().map((cidr) => cidr.split("/")[0]);
  expect(new Set(addresses).size).toBe(addresses.length);
  expect(addresses).toContain("127.0.0.1");
});
