import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { advancedSettingFaults, withSiteVpn } from "./tunnel-site-vpn.ts";

const numRuns = fuzzRuns(2_000);

const setting = fc.record({
  name: fc.oneof(fc.constantFrom("dpd", "mtu", "banner", "keepalive"), fc.string()),
  value: fc.oneof(fc.integer().map(String), fc.string()),
});
const site = fc.record({
  dnsServers: fc.array(fc.string()),
  defaultDomainSuffix: fc.option(fc.string()),
  routeIncludes: fc.array(fc.string()),
  routeExcludes: fc.array(fc.string()),
  splitDNS: fc.array(fc.string()),
  advancedSettings: fc.array(setting),
  disableUdpConnections: fc.boolean(),
  internalNetworkProbeUrl: fc.option(fc.string()),
});
const group = fc.oneof(
  fc.dictionary(fc.constantFrom("name", "udp", "mtu", "timeouts", "routesInclude"), fc.jsonValue()),
  fc.jsonValue(),
);
const own = fc.oneof(
  fc.jsonValue(),
  fc.record({ vpn: fc.record({ groups: fc.array(group) }), policies: fc.jsonValue() }),
);

/** Whether `whole` has all of `part`: the same leaves and lists, and in objects perhaps more. */
function holds(whole: unknown, part: unknown): boolean {
  if (typeof part !== "object" || part === null) return Object.is(whole, part);
  if (typeof whole !== "object" || whole === null) return false;
  if (Array.isArray(part) !== Array.isArray(whole)) return false;
  if (Array.isArray(part) && part.length !== Object.keys(whole).length) return false;
  const inside = whole as Readonly<Record<string, unknown>>;
  return Object.entries(part).every(
    ([key, value]) => Object.hasOwn(whole, key) && holds(inside[key], value),
  );
}

test("whatever a document holds stays in it, whatever its site says", () => {
  fc.assert(
    fc.property(own, site, (document, values) => {
      expect(holds(withSiteVpn(document, values), document)).toBe(true);
    }),
    { numRuns },
  );
});

test("a list of settings is taken or told why not", () => {
  fc.assert(
    fc.property(fc.array(setting), (settings) => {
      for (const { index, message } of advancedSettingFaults(settings)) {
        expect(settings[index]).toBeDefined();
        expect(message).not.toBe("");
      }
    }),
    { numRuns },
  );
});
