import { describe, expect, test } from "vitest";
import { judgePacked } from "../../testing/packed-rule-oracle.ts";
import { compileDestinations } from "../compile-rules.ts";
import type { EgressSurroundings } from "../egress.ts";
import { parseAddress, parseCidr } from "../ip-address.ts";
import type { Rule } from "../policy.ts";
import { packRules } from "./packed-rules.ts";
import { compilePacketRules, namesWithin, type PacketPolicy } from "./packet-rules.ts";

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const GRE = 47;
const nothing: EgressSurroundings = {
  allowedInternal: [],
  controlNetwork: [],
  ownAddresses: [],
  broadcastAddresses: [],
  ownListeners: [],
};

function address(text: string) {
  const parsed = parseAddress(text);
  if (!parsed) throw new TypeError(text);
  return parsed;
}

function rule(
  action: "allow" | "deny",
  cidr: string,
  ports: readonly (number | string)[] | undefined,
  protocol?: Rule["protocol"],
): Rule {
  const destinations = compileDestinations([{ cidr, ports }], "test", []);
  return { name: `${action} ${cidr}`, action, protocol, destinations };
}

/** What becomes of packets under rules of one policy. */
function judge(
  rules: readonly Rule[],
  of: {
    readonly bound?: string;
    readonly dns?: string;
    readonly egress?: Partial<EgressSurroundings>;
  } = {},
) {
  const bound = of.bound
    ? compileDestinations([{ cidr: of.bound, ports: [443] }], "bound", [])
    : undefined;
  const policy: PacketPolicy = {
    groups: [],
    dns: of.dns ? { name: "staff", servers: [address(of.dns)] } : undefined,
  };
  const policies = [{ name: "p", groups: ["*"], rules }];
  const egress = { ...nothing, ...of.egress };
  const compiled = compilePacketRules(policy, { policies, bound, egress });
  const names = ["default-deny", ...new Set(compiled.map(({ name }) => name))];
  const packed = packRules(compiled, (name) => names.indexOf(name));
  return (destination: string, protocol: number, port: number) => {
    const verdict = judgePacked(packed, { destination: address(destination), protocol, port });
    return `${verdict.isAllowed ? "allow" : "deny"} ${names[verdict.rule]}`;
  };
}

describe("a rule without a protocol", () => {
  test("opens TCP and UDP on its ports, and nothing else", () => {
    const at = judge([rule("allow", "10.0.0.0/8", [443])]);
    expect(at("10.1.2.3", TCP, 443)).toBe("allow p/allow 10.0.0.0/8");
    expect(at("10.1.2.3", UDP, 443)).toBe("allow p/allow 10.0.0.0/8");
    expect(at("10.1.2.3", TCP, 444)).toBe("deny default-deny");
    expect(at("10.1.2.3", ICMP, 0)).toBe("deny default-deny");
    expect(at("11.1.2.3", TCP, 443)).toBe("deny default-deny");
  });

  test("closes every protocol where it denies all ports", () => {
    const at = judge([
      rule("deny", "10.0.0.1", ["1-65535"]),
      rule("allow", "10.0.0.0/8", undefined, "any"),
    ]);
    expect(at("10.0.0.1", ICMP, 0)).toBe("deny p/deny 10.0.0.1");
    expect(at("10.0.0.1", GRE, 0)).toBe("deny p/deny 10.0.0.1");
    expect(at("10.0.0.2", GRE, 0)).toBe("allow p/allow 10.0.0.0/8");
  });
});

test.each([
  ["tcp", TCP, 443, "allow"],
  ["tcp", UDP, 443, "deny"],
  ["udp", UDP, 443, "allow"],
  ["udp", TCP, 443, "deny"],
  ["any", GRE, 0, "deny"],
  ["any", UDP, 443, "allow"],
] as const)(
  "protocol %s on port 443: protocol %d port %d is met by %s",
  (of, sent, port, action) => {
    const at = judge([rule("allow", "10.0.0.0/8", [443], of)]);
    expect(at("10.0.0.1", sent, port).split(" ")[0]).toBe(action);
  },
);

test("protocol icmp opens ICMP, and ICMPv6 where the network is IPv6", () => {
  const at = judge([
    rule("allow", "10.0.0.0/8", undefined, "icmp"),
    rule("allow", "2001:db8::/32", undefined, "icmp"),
  ]);
  expect(at("10.0.0.1", ICMP, 0)).toMatch(/^allow/);
  expect(at("2001:db8::1", 58, 0)).toMatch(/^allow/);
  expect(at("2001:db8::1", ICMP, 0)).toMatch(/^deny/);
  expect(at("10.0.0.1", TCP, 1)).toMatch(/^deny/);
});

describe("what no policy can open", () => {
  test("what the default-deny list names, under the name that it has there", () => {
    const at = judge([rule("allow", "0.0.0.0/0", undefined, "any")]);
    expect(at("169.254.169.254", TCP, 80)).toBe("deny egress/metadata");
    expect(at("127.0.0.1", GRE, 0)).toBe("deny egress/loopback");
  });

  test("unless the local configuration makes an exception, for its ports", () => {
    const network = parseCidr("127.0.0.1/32");
    if (!network) throw new TypeError();
    const egress = { allowedInternal: [{ network, ports: [{ from: 53, to: 53 }] }] };
    const at = judge([rule("allow", "0.0.0.0/0", ["1-65535"])], { egress });
    expect(at("127.0.0.1", UDP, 53)).toMatch(/^allow/);
    expect(at("127.0.0.1", UDP, 54)).toBe("deny egress/loopback");
    expect(at("127.0.0.1", ICMP, 0)).toBe("deny egress/loopback");
  });

  test("what lies outside the guardrails' bound, the group's name servers included", () => {
    const all = [rule("allow", "0.0.0.0/0", ["1-65535"])];
    const at = judge(all, { bound: "10.0.0.0/8", dns: "10.0.0.53" });
    expect(at("10.0.0.1", TCP, 443)).toMatch(/^allow/);
    expect(at("10.0.0.1", TCP, 80)).toBe("deny guardrails/destinations");
    expect(at("11.0.0.1", TCP, 443)).toBe("deny guardrails/destinations");
    expect(at("10.0.0.53", UDP, 53)).toBe("deny guardrails/destinations");
  });

  test("an IPv4 address written as an IPv6 packet's destination", () => {
    const at = judge([rule("allow", "::/0", ["1-65535"])]);
    expect(at("2001:db8::1", TCP, 443)).toMatch(/^allow/);
    const mapped = { family: 6, value: (0xffffn << 32n) | 0x0a000001n } as const;
    const rules = compilePacketRules(
      { groups: [], dns: undefined },
      {
        policies: [{ name: "p", groups: ["*"], rules: [rule("allow", "::/0", ["1-65535"])] }],
        bound: undefined,
        egress: nothing,
      },
    );
    const packed = packRules(rules, () => 1);
    expect(judgePacked(packed, { destination: mapped, protocol: TCP, port: 1 }).isAllowed).toBe(
      false,
    );
  });
});

test("the group's name servers are asked on port 53 whatever the policies say, unless the default-deny list forbids", () => {
  const at = judge([rule("deny", "0.0.0.0/0", ["1-65535"])], { dns: "10.0.0.53" });
  expect(at("10.0.0.53", UDP, 53)).toBe("allow group/staff/dns");
  expect(at("10.0.0.53", TCP, 53)).toBe("allow group/staff/dns");
  expect(at("10.0.0.53", TCP, 54)).toMatch(/^deny p/);
  expect(judge([], { dns: "127.0.0.53" })("127.0.0.53", UDP, 53)).toBe("deny egress/loopback");
});

test("a session without anything to reach has no rules at all", () => {
  const none = { policies: [], bound: undefined, egress: nothing };
  expect(compilePacketRules({ groups: ["a"], dns: undefined }, none)).toEqual([]);
});

test("rules with names for destinations are pointed out, because packets carry addresses", () => {
  const byName = compileDestinations([{ name: "files.example", ports: [443] }], "test", []);
  const rules = [{ name: "r", action: "allow" as const, destinations: byName }];
  expect(namesWithin([{ name: "p", groups: ["*"], rules }])).toEqual(["p/r"]);
});
