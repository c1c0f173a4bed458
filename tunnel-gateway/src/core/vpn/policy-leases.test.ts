import { beforeEach, describe, expect, test } from "vitest";
import { FakeEngine } from "../../testing/fake-engine.ts";
import type { AccessControl } from "../access.ts";
import { compileDestinations } from "../compile-rules.ts";
import { compileEgress } from "../egress.ts";
import type { Policy } from "../policy.ts";
import { RULE_BYTES } from "./packed-rules.ts";
import { PolicyLeases } from "./policy-leases.ts";
import { NO_VPN, type VpnGroup } from "./vpn-rules.ts";

const group = { name: "staff", dnsServers: [] as string[] } as unknown as VpnGroup;
const egress = compileEgress({
  allowedInternal: [],
  controlNetwork: [],
  ownAddresses: [],
  broadcastAddresses: [],
  ownListeners: [],
});
let engine: FakeEngine;
let faults: unknown[];
let access: { rules: { policies: Policy[]; vpn: typeof NO_VPN }; local: unknown };
let leases: PolicyLeases;

function policy(groups: string[], ports: (number | string)[]): Policy {
  const destinations = compileDestinations([{ cidr: "10.0.0.0/8", ports }], "test", []);
  return { name: "p", groups, rules: [{ name: "r", action: "allow", destinations }] };
}

/** Rules for so many packets at least. */
function large(rules: number): Policy {
  const texts = Array.from({ length: rules / 2 }, (_, n) => ({
    cidr: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`,
    ports: [443],
  }));
  const destinations = compileDestinations(texts, "test", []);
  return { name: "large", groups: ["*"], rules: [{ name: "r", action: "allow", destinations }] };
}

beforeEach(() => {
  engine = new FakeEngine();
  faults = [];
  access = {
    rules: { policies: [policy(["a"], [443]), policy(["b"], [22])], vpn: NO_VPN },
    local: { egress, bound: undefined },
  };
  const onFailure = (error: unknown) => void faults.push(error);
  leases = new PolicyLeases({ engine, access: access as unknown as AccessControl, onFailure });
});

describe("policies of sessions", () => {
  test("are one for sessions whose groups say the same to the policies", () => {
    const one = leases.take(group, ["a", "nothing"]);
    expect(leases.take(group, ["other", "a"])).toEqual(one);
    expect(leases.take(group, ["b"]).number).not.toBe(one.number);
    expect(leases.size).toBe(2);
  });

  test("are apart for groups with name servers of their own", () => {
    const one = leases.take(group, ["a"]);
    const asking = { ...group, dnsServers: ["10.0.0.53"] };
    expect(leases.take(asking, ["a"]).number).not.toBe(one.number);
  });

  test("are emptied when nobody has them any more, and their number is used again", () => {
    const lease = leases.take(group, ["a"]);
    leases.take(group, ["a"]);
    leases.give(lease);
    expect(engine.policies.get(lease.number)?.length).toBeGreaterThan(0);
    leases.give(lease);
    expect(engine.policies.get(lease.number)).toHaveLength(0);
    expect(leases.take(group, ["b"]).number).toBe(lease.number);
  });

  test("are changed in place when the rules change", () => {
    const lease = leases.take(group, ["a"]);
    const before = engine.policies.get(lease.number);
    access.rules.policies = [policy(["a"], [8_443])];
    leases.refresh();
    expect(engine.policies.get(lease.number)).not.toEqual(before);
    expect(leases.size).toBe(1);
  });

  test("name the rule that a packet was denied by", () => {
    leases.take(group, ["a"]);
    const names = Array.from({ length: 50 }, (_, rule) => leases.nameOf(rule));
    expect(names).toContain("p/r");
    expect(names[0]).toBe("default-deny");
    expect(leases.nameOf(1_000_000)).toBe("default-deny");
  });

  test("over 100,000 rules deny everything and say so, and a configuration with them has a fault", () => {
    access.rules.policies = [large(99_900)];
    const fits = leases.take(group, []);
    expect(engine.policies.get(fits.number)?.length).toBeGreaterThan(99_900 * RULE_BYTES - 1);
    access.rules.policies = [large(100_002)];
    leases.refresh();
    expect(engine.policies.get(fits.number)).toHaveLength(0);
    expect(faults).toHaveLength(1);
    expect(leases.faultOf(access.rules as never)).toContain("the most is 100000");
    expect(leases.faultOf({ ...access.rules, policies: [large(99_900)] } as never)).toBeUndefined();
  });
});
