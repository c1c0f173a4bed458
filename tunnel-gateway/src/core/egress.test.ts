import { describe, expect, test } from "vitest";
import {
  broadcastOf,
  compileEgress,
  type EgressSurroundings,
  embeddedAddresses,
} from "./egress.ts";
import { formatAddress, type IpAddress, parseAddress, parseCidr } from "./ip-address.ts";
import { ALL_PORTS } from "./port-range.ts";

const nothing: EgressSurroundings = {
  allowedInternal: [],
  controlNetwork: [],
  ownAddresses: [],
  broadcastAddresses: [],
  ownListeners: [],
};

function at(text: string): IpAddress {
  const address = parseAddress(text);
  if (!address) throw new Error(`${text} is no address`);
  return address;
}

function network(text: string) {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(`${text} is no network`);
  return parsed;
}

const ruleFor = (text: string, surroundings: Partial<EgressSurroundings> = {}, port = 443) =>
  compileEgress({ ...nothing, ...surroundings }).judge(at(text), port)?.rule;

describe("addresses that reach the host, its cloud or many hosts are forbidden", () => {
  test.each([
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["::1", "loopback"],
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "unspecified"],
    ["::", "unspecified"],
    ["169.254.169.254", "metadata"],
    ["fd00:ec2::254", "metadata"],
    ["168.63.129.16", "metadata"],
    ["169.254.1.1", "link-local"],
    ["fe80::1", "link-local"],
    ["febf::1", "link-local"],
    ["224.0.0.1", "multicast"],
    ["239.255.255.255", "multicast"],
    ["ff02::1", "multicast"],
    ["255.255.255.255", "broadcast"],
    ["240.0.0.1", "reserved"],
    ["2002:a00:1::", "transition"],
    ["2001:0:a00:1::", "transition"],
    ["::10.0.0.1", "transition"],
  ])("%s", (text, rule) => {
    expect(ruleFor(text)).toBe(`egress/${rule}`);
  });
});

test.each([
  "10.0.0.1",
  "192.168.1.1",
  "172.16.0.1",
  "8.8.8.8",
  "2001:db8::1",
  "fd00::1",
  "64:ff9b::a00:1",
])("%s is not", (text) => {
  expect(ruleFor(text)).toBeUndefined();
});

describe("every form of a forbidden IPv4 address is forbidden", () => {
  test.each([
    ["mapped", "::ffff:127.0.0.1"],
    ["NAT64", "64:ff9b::127.0.0.1"],
    ["NAT64 metadata", "64:ff9b::169.254.169.254"],
    ["local NAT64, /48", "64:ff9b:1:7f00:0:100::"],
    ["local NAT64, /96", "64:ff9b:1::127.0.0.1"],
    ["6to4", "2002:7f00:1::"],
    ["Teredo server", "2001:0:7f00:1::"],
    ["Teredo client", "2001::80ff:fffe"],
    ["compatible", "::127.0.0.1"],
    ["translated", "::ffff:0:127.0.0.1"],
    ["ISATAP", "2001:db8::5efe:127.0.0.1"],
    ["ISATAP, globally unique", "2001:db8::200:5efe:127.0.0.1"],
  ])("%s", (_, text) => {
    expect(ruleFor(text)).toMatch(/^egress\/(loopback|metadata|transition)$/);
  });
});

test("embedded addresses are found", () => {
  const found = (text: string) => embeddedAddresses(at(text)).map(formatAddress);
  expect(found("64:ff9b::10.1.2.3")).toEqual(["10.1.2.3"]);
  expect(found("2001:0:a01:203:0:0:f5fe:fdfc")).toEqual(["10.1.2.3", "10.1.2.3"]);
  expect(found("10.1.2.3")).toEqual([]);
  expect(found("2001:db8::1")).toEqual([]);
});

describe("own surroundings", () => {
  const ownAddresses = [at("10.0.0.5"), at("2001:db8::5")];

  test("the host's own addresses are forbidden, in NAT64 form too", () => {
    expect(ruleFor("10.0.0.5", { ownAddresses })).toBe("egress/own-address");
    expect(ruleFor("2001:db8::5", { ownAddresses })).toBe("egress/own-address");
    expect(ruleFor("64:ff9b::10.0.0.5", { ownAddresses })).toBe("egress/own-address");
    expect(ruleFor("10.0.0.6", { ownAddresses })).toBeUndefined();
  });

  test("the control network is forbidden", () => {
    const controlNetwork = [network("10.9.0.0/16")];
    expect(ruleFor("10.9.1.1", { controlNetwork })).toBe("egress/control-network");
    expect(ruleFor("10.10.1.1", { controlNetwork })).toBeUndefined();
  });

  test("broadcast addresses of own networks are forbidden", () => {
    const broadcast = broadcastOf("10.0.1.7/23");
    expect(broadcast && formatAddress(broadcast)).toBe("10.0.1.255");
    const broadcastAddresses = broadcast ? [broadcast] : [];
    expect(ruleFor("10.0.1.255", { broadcastAddresses })).toBe("egress/broadcast");
    expect(broadcastOf("10.0.0.1/31")).toBeUndefined();
    expect(broadcastOf("fe80::1/64")).toBeUndefined();
  });
});

describe("local exceptions", () => {
  const allowedInternal = [{ network: network("127.0.0.1/32"), ports: [{ from: 8090, to: 8090 }] }];

  test("open their address on their ports alone", () => {
    expect(ruleFor("127.0.0.1", { allowedInternal }, 8090)).toBeUndefined();
    expect(ruleFor("127.0.0.1", { allowedInternal }, 8091)).toBe("egress/loopback");
    expect(ruleFor("127.0.0.2", { allowedInternal }, 8090)).toBe("egress/loopback");
  });

  test("never open a listener of the gateway itself", () => {
    const open = [{ network: network("127.0.0.0/8"), ports: ALL_PORTS }];
    const everywhere = { address: undefined, port: 8443 };
    const surroundings = { allowedInternal: open, ownListeners: [everywhere] };
    expect(ruleFor("127.0.0.1", surroundings, 8443)).toBe("egress/own-listener");
    expect(ruleFor("127.0.0.1", surroundings, 8444)).toBeUndefined();
    const health = {
      allowedInternal: open,
      ownListeners: [{ address: at("127.0.0.1"), port: 9090 }],
    };
    expect(ruleFor("127.0.0.1", health, 9090)).toBe("egress/own-listener");
    expect(ruleFor("127.0.0.2", health, 9090)).toBeUndefined();
  });
});
