import { expect, test } from "vitest";
import { compileDestinations, type DestinationText } from "./compile-rules.ts";
import type { Destination } from "./destination.ts";
import { parseAddress } from "./ip-address.ts";
import { compilePolicies, type Rule } from "./policy.ts";

function rule(name: string, action: "allow" | "deny", ...texts: DestinationText[]): Rule {
  return { name, action, destinations: compileDestinations(texts, "test", []) };
}

function to(address: string, port = 443, name?: string): Destination {
  const parsed = parseAddress(address);
  if (!parsed) throw new Error(`${address} is no address`);
  return { name, address: parsed, port };
}

const matcher = compilePolicies([
  {
    name: "staff",
    groups: ["staff"],
    rules: [
      rule("no-payroll", "deny", { name: "payroll.example", ports: [443] }),
      rule("intranet", "allow", { name: "intranet.example", ports: [443, "8000-8100"] }),
      rule("no-vault", "deny", { cidr: "10.1.2.3/32", ports: ["1-65535"] }),
      rule(
        "ten",
        "allow",
        { cidr: "10.0.0.0/8", ports: [443] },
        { cidr: "64:ff9b::/96", ports: [443] },
      ),
    ],
  },
  {
    name: "all",
    groups: ["*"],
    rules: [rule("portal", "allow", { name: "portal.example", ports: [443] })],
  },
]);
const ruleOf = (destination: Destination, groups = ["staff"]) =>
  matcher.judge(groups, destination).rule;

test("what no rule matches is denied by default", () => {
  expect(matcher.judge(["staff"], to("192.0.2.1"))).toEqual({
    action: "deny",
    rule: "default-deny",
  });
});

test("the first matching rule decides, whatever is more specific", () => {
  expect(ruleOf(to("10.1.2.3"))).toBe("staff/no-vault");
  expect(ruleOf(to("10.1.2.4"))).toBe("staff/ten");
  expect(ruleOf(to("10.1.2.3", 443, "intranet.example"))).toBe("staff/intranet");
});

test("a name is exact", () => {
  expect(ruleOf(to("192.0.2.1", 443, "intranet.example"))).toBe("staff/intranet");
  expect(ruleOf(to("192.0.2.1", 443, "www.intranet.example"))).toBe("default-deny");
  expect(ruleOf(to("192.0.2.1", 443, "intranet.example.evil"))).toBe("default-deny");
});

test("ports are inclusive ranges", () => {
  const at = (port: number) => ruleOf(to("192.0.2.1", port, "intranet.example"));
  expect([7_999, 8_000, 8_100, 8_101].map(at)).toEqual([
    "default-deny",
    "staff/intranet",
    "staff/intranet",
    "default-deny",
  ]);
});

test("a policy holds for its groups alone, and for everyone with *", () => {
  expect(ruleOf(to("10.1.2.4"), [])).toBe("default-deny");
  expect(ruleOf(to("10.1.2.4"), ["guests", "staff"])).toBe("staff/ten");
  expect(ruleOf(to("192.0.2.1", 443, "portal.example"), [])).toBe("all/portal");
});

test("a denied IPv4 address is denied behind NAT64 too, another one is not", () => {
  expect(matcher.judge(["staff"], to("64:ff9b::10.1.2.3")).rule).toBe("staff/no-vault");
  expect(matcher.judge(["staff"], to("64:ff9b::10.1.2.4")).action).toBe("allow");
});

test("a name that nothing can allow is denied before it is looked up, by the rule that denies it", () => {
  expect(matcher.judgeName(["staff"], "payroll.example", 443)?.rule).toBe("staff/no-payroll");
  expect(matcher.judgeName([], "intranet.example", 443)?.rule).toBe("default-deny");
  expect(matcher.judgeName(["staff"], "other.example", 80)?.rule).toBe("default-deny");
  expect(matcher.judgeName(["staff"], "other.example", 443)).toBeUndefined();
  expect(matcher.judgeName(["staff"], "intranet.example", 8_000)).toBeUndefined();
});
