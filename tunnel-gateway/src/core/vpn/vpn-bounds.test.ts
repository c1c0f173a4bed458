import { RefusalError } from "@isthmus/shared/errors";
import { describe, expect, test } from "vitest";
import { vpnConfiguration } from "../../config/vpn-configuration.ts";
import { refuseVpnExcess, type VpnBounds, vpnBounds } from "./vpn-bounds.ts";

const ofCloud = vpnBounds(undefined, true);

/** The key of the guardrail that refuses; undefined where none does. */
function refusedBy(written: unknown, bounds: VpnBounds): string | undefined {
  try {
    refuseVpnExcess(vpnConfiguration.parse(written), bounds);
    return undefined;
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    expect(error.code).toBe("guardrail-exceeded");
    return error.rule.replace("guardrails.tunnel-gateway.vpn.", "");
  }
}

const group = (requireDevice: boolean, ...authentication: string[][]) => ({
  groups: [{ name: "staff", authentication, requireDevice }],
});

describe("a group that asks for no device", () => {
  const bounds = { authenticationWithoutDevice: [["ldap", "codes"]] };

  test.each([
    ["all that is wanted", [["ldap", "codes"]], undefined],
    ["more than is wanted", [["certificate", "codes", "ldap"]], undefined],
    ["less than is wanted", [["ldap"]], "authenticationWithoutDevice"],
    ["less by one of two ways", [["ldap", "codes"], ["local"]], "authenticationWithoutDevice"],
  ])("may log in by %s or is refused", (_what, lists, rule) => {
    expect(refusedBy(group(false, ...lists), bounds)).toBe(rule);
  });

  test("is refused where the cloud says it and the guardrails say nothing", () => {
    const rule = "authenticationWithoutDevice";
    expect(refusedBy(group(false, ["certificate"]), ofCloud)).toBe(rule);
    expect(refusedBy(group(true, ["certificate"]), ofCloud)).toBeUndefined();
  });

  test("is not bounded where the host's own file says it and the guardrails say nothing", () => {
    expect(refusedBy(group(false, ["local"]), vpnBounds(undefined, false))).toBeUndefined();
  });
});

describe("bans", () => {
  const groups = group(true, ["certificate"]);
  const strict = { failurePoints: 10, banAtPoints: 200, banSeconds: 300, halfLifeSeconds: 300 };

  test.each([
    [{}, undefined],
    [{ banAtPoints: 201 }, "bans.maximumFailures"],
    [{ failurePoints: 9 }, "bans.maximumFailures"],
    [{ banSeconds: 299 }, "bans.minimumBanSeconds"],
    [{ halfLifeSeconds: 299 }, "bans.minimumHalfLifeSeconds"],
  ])("as strict as they have to be, but for %j", (change, rule) => {
    const bans = { ...strict, ...change };
    expect(refusedBy({ ...groups, bans }, ofCloud)).toBe(rule);
  });

  test("are bounded by the defaults in what the guardrails leave out", () => {
    const bounds = vpnBounds({ bans: { maximumFailures: 1_000 } }, false);
    expect(refusedBy({ ...groups, bans: { ...strict, banAtPoints: 201 } }, bounds)).toBeUndefined();
    const brief = { ...groups, bans: { ...strict, banSeconds: 299 } };
    expect(refusedBy(brief, bounds)).toBe("bans.minimumBanSeconds");
    expect(refusedBy(brief, vpnBounds({}, false))).toBeUndefined();
  });

  test("a configuration that says nothing of them is strict enough", () => {
    expect(refusedBy(groups, ofCloud)).toBeUndefined();
  });
});
