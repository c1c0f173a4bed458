import { describe, expect, test } from "vitest";
import { isPermitted, PERMISSIONS, ROLES } from "./roles.ts";

/** G, I, C, H, R: whether each role, in the order of ROLES, has the permission. */
const EXPECTED: Readonly<Record<string, string>> = {
  "connectors.read": "GICHR",
  "connectors.manage": "GI---",
  "configurations.read": "GICHR",
  "configurations.write": "GI---",
  "devices.read": "GICHR",
  "devices.write": "GI---",
  "devices.setCompliance": "GIC--",
  "inventory.read": "GICHR",
  "inventory.export": "GIC--",
  "tunnel.read": "GICHR",
  "tunnel.write": "GI---",
  "certificates.read": "GICHR",
  "certificates.revoke": "GI---",
  "certificates.issue": "GI---",
  "pfx.read": "GI---",
  "pfx.write": "GI---",
  "challenges.read": "GI-H-",
  "challenges.create": "GI-H-",
  "actions.read": "GICHR",
  "actions.notify": "GI-H-",
  "actions.run": "GI---",
  "actions.query": "GI-H-",
  "actions.revealKey": "GI-H-",
  "commands.read": "GICHR",
  "commands.create": "GI-H-",
  "commands.cancel": "GI---",
  "audit.read": "GIC--",
  "accounts.read": "GI---",
  "accounts.manage": "G----",
};

test("every permission stands in the expected table", () => {
  expect(Object.keys(EXPECTED).sort()).toEqual([...PERMISSIONS].sort());
});

describe.each(ROLES.map((role, index) => ({ role, index })))("$role", ({ role, index }) => {
  test.each(PERMISSIONS)("%s", (permission) => {
    expect(isPermitted([role], permission)).toBe(EXPECTED[permission]?.[index] !== "-");
  });
});

test("several roles grant what any of them grants", () => {
  expect(isPermitted(["Reader", "Compliance administrator"], "devices.setCompliance")).toBe(true);
  expect(isPermitted(["Reader", "Compliance administrator"], "devices.write")).toBe(false);
});

test("no role at all grants nothing", () => {
  expect(PERMISSIONS.filter((permission) => isPermitted([], permission))).toEqual([]);
});
