import { hash } from "node:crypto";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConnectorFixture } from "./connector-fixture.ts";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

const folder = temporaryFolder();
let plane: ControlPlaneFixture;
let admin: ApiClient;

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
  admin = await plane.client();
});

afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const staff = { name: "staff", authentication: [["certificate"]] };
const own = { vpn: { groups: [staff] } };

const connected = async () => {
  const gateway = await ConnectorFixture.enrol(plane, admin, "tunnel-gateway");
  await gateway.connect();
  return gateway;
};
const newConfiguration = (values: object = {}) =>
  admin.post("/microsoftTunnelConfigurations", { displayName: "VPN", ...values }, 201);
const newSite = (values: object = {}) =>
  admin.post("/microsoftTunnelSites", { displayName: "S", publicAddress: "vpn", ...values }, 201);
const assign = ({ id }: ConnectorFixture, siteId: string | null) =>
  admin.patch(`/microsoftTunnelServers/${id}`, { microsoftTunnelSiteId: siteId });
const write = ({ id }: ConnectorFixture, configuration: object) =>
  admin.call("PUT", `/connectors/${id}/desiredConfiguration`, { configuration }, 200);
const newest = ({ id }: ConnectorFixture) => admin.get(`/connectors/${id}/desiredConfiguration`);
const sent = (gateway: ConnectorFixture, count: number) =>
  until(() => gateway.configurations.length === count, `${count} configurations`);

describe("a server of a tunnel site", () => {
  test("is sent its own configuration with the site's, again at each change, and its own once it leaves", async () => {
    await using gateway = await connected();
    await write(gateway, own);
    await sent(gateway, 1);
    const configuration = await newConfiguration({ routeIncludes: ["10.0.0.0/8"] });
    const site = await newSite({ microsoftTunnelConfigurationId: configuration.id });
    await assign(gateway, site.id);
    await sent(gateway, 2);
    const withRoutes = { vpn: { groups: [{ ...staff, routesInclude: ["10.0.0.0/8"] }] } };
    expect(gateway.configurations[1]).toEqual(withRoutes);
    expect(await newest(gateway)).toMatchObject({
      version: 2,
      configuration: own,
      effectiveConfiguration: withRoutes,
    });

    const path = `/microsoftTunnelConfigurations/${configuration.id}`;
    const change = {
      disableUdpConnections: true,
      advancedSettings: [{ name: "dpd", value: "45" }],
    };
    const changed = await admin.patch(path, change);
    expect(changed).toMatchObject({ ...change, routeIncludes: ["10.0.0.0/8"] });
    expect(changed.lastUpdateDateTime >= configuration.lastUpdateDateTime).toBe(true);
    await sent(gateway, 3);
    expect(gateway.configurations[2]).toMatchObject({
      vpn: { groups: [{ udp: false, timeouts: { dpdSeconds: 45 } }] },
    });

    await admin.patch(`/microsoftTunnelSites/${site.id}`, {
      internalNetworkProbeUrl: "http://intranet.example/",
    });
    await sent(gateway, 4);
    expect(gateway.configurations[3]).toMatchObject({
      vpn: { internalNetworkProbeUrl: "http://intranet.example/" },
    });
    await assign(gateway, null);
    await sent(gateway, 5);
    expect(gateway.configurations[4]).toEqual(own);
    expect((await newest(gateway)).effectiveConfiguration).toBeNull();
  });

  test("whose own configuration is written anew gets it with the site's", async () => {
    await using gateway = await connected();
    const configuration = await newConfiguration({ dnsServers: ["10.0.0.53"] });
    const site = await newSite({ microsoftTunnelConfigurationId: configuration.id });
    await assign(gateway, site.id);
    expect((await admin.get(`/connectors/${gateway.id}`)).configurationVersion).toBe(0);
    const written = await write(gateway, own);
    expect(written.effectiveConfiguration.vpn.groups[0].dnsServers).toEqual(["10.0.0.53"]);
    await sent(gateway, 1);
    expect(gateway.configurations[0]).toEqual(written.effectiveConfiguration);
  });

  test("gets no new version for a change that says nothing to it", async () => {
    await using gateway = await connected();
    const configuration = await newConfiguration();
    const site = await newSite({ microsoftTunnelConfigurationId: configuration.id });
    await write(gateway, own);
    await assign(gateway, site.id);
    await admin.patch(`/microsoftTunnelConfigurations/${configuration.id}`, { description: "x" });
    await admin.patch(`/microsoftTunnelSites/${site.id}`, { displayName: "Another" });
    expect((await newest(gateway)).version).toBe(1);
  });

  test("whose configuration would be too large with the site's keeps what it has, and so does the site", async () => {
    await using gateway = await connected();
    const groups = Array.from({ length: 200 }, (_, n) => ({ ...staff, name: `group-${n}` }));
    await write(gateway, { vpn: { groups } });
    const configuration = await newConfiguration();
    const site = await newSite({ microsoftTunnelConfigurationId: configuration.id });
    await assign(gateway, site.id);
    const routeIncludes = Array.from({ length: 200 }, (_, n) => `10.0.${n}.0/24`);
    const path = `/microsoftTunnelConfigurations/${configuration.id}`;
    const { error } = await admin.patch(path, { routeIncludes }, 413);
    expect(error).toMatchObject({
      code: "RequestEntityTooLarge",
      innerError: { code: "configuration-too-large" },
    });
    expect(error.message).toContain(gateway.id);
    expect((await admin.get(path)).routeIncludes).toEqual([]);
    expect((await newest(gateway)).version).toBe(1);
  });
});

describe("a tunnel site", () => {
  const bind = "microsoftTunnelConfiguration@odata.bind";

  test.each([
    [
      "in brackets",
      (id: string) => `https://graph.example/beta/x/microsoftTunnelConfigurations('${id}')`,
    ],
    [
      "as a path",
      (id: string) => `https://graph.example/beta/x/microsoftTunnelConfigurations/${id}`,
    ],
  ])("is bound to its configuration by address, the id %s", async (_where, addressOf) => {
    const { id } = await newConfiguration();
    const site = await newSite({ [bind]: addressOf(id) });
    expect(site.microsoftTunnelConfigurationId).toBe(id);
  });

  test.each(["microsoftTunnelConfigurations/x/y", "x", 7, null])(
    "is not bound to %j",
    async (address) => {
      const body = { displayName: "S", publicAddress: "vpn", [bind]: address };
      await admin.post("/microsoftTunnelSites", body, 400);
    },
  );

  test("is not bound to a configuration that is not there", async () => {
    const body = {
      displayName: "S",
      publicAddress: "vpn",
      [bind]: "/microsoftTunnelConfigurations/x",
    };
    await admin.post("/microsoftTunnelSites", body, 404);
  });
});

describe("a tunnel configuration", () => {
  test.each<[string, object, RegExp]>([
    ["no network", { routeIncludes: ["intranet"] }, /routeIncludes\[0\]: expected a network/],
    ["an address", { routeExcludes: ["10.0.0.1"] }, /routeExcludes\[0\]: expected a network/],
    ["an old name, too", { routesInclude: ["10.0.0.0/33"] }, /routeIncludes\[0\]/],
    ["no address", { dnsServers: ["dns.example"] }, /dnsServers\[0\]/],
    ["too many servers", { dnsServers: Array(9).fill("10.0.0.1") }, /dnsServers/],
    ["too many routes", { routeIncludes: Array(5_001).fill("10.0.0.0/8") }, /routeIncludes/],
    ["too many names", { splitDNS: Array(501).fill("a.example") }, /splitDNS/],
    ["no domain", { defaultDomainSuffix: "-.example" }, /defaultDomainSuffix: expected a domain/],
    [
      "a setting that nobody knows",
      { advancedSettings: [{ name: "tun-device", value: "x" }] },
      /advancedSettings\[0\]: tun-device is no known setting; known are dpd/,
    ],
    [
      "a setting out of bounds",
      { advancedSettings: [{ name: "mtu", value: "9000" }] },
      /advancedSettings\[0\]: mtu: expected a whole number from 576 to 1500/,
    ],
  ])("with %s is refused, with the fault", async (_what, values, fault) => {
    const body = { displayName: "VPN", ...values };
    const { error } = await admin.post("/microsoftTunnelConfigurations", body, 400);
    expect(error).toMatchObject({ code: "BadRequest", innerError: { code: "body-invalid" } });
    expect(error.message).toMatch(fault);
  });

  test("takes as much as a gateway does", async () => {
    const largest = {
      routeIncludes: Array(5_000).fill("10.0.0.0/8"),
      dnsServers: Array(8).fill("2001:db8::1"),
      splitDNS: Array(500).fill("a.example"),
    };
    expect(await newConfiguration(largest)).toMatchObject(largest);
  });

  test("stands in the audit with its values, of long ones their hash", async () => {
    const routeIncludes = Array<string>(100).fill("10.0.0.0/8");
    const { id } = await newConfiguration({ description: "short", routeIncludes });
    const { value } = await admin.get(
      "/auditEvents?$filter=activity%20eq%20'tunnel-configuration.written'&$top=100",
    );
    const event = value.find((one: { details: { id: string } }) => one.details.id === id);
    const text = JSON.stringify(routeIncludes);
    expect(event.details).toMatchObject({
      description: "short",
      routeIncludes: { sha256: hash("sha256", text), characters: text.length },
    });
  });

  test("is written and read by Graph's older names as well, and the newer one counts", async () => {
    const made = await newConfiguration({
      "@odata.type": "#microsoft.graph.microsoftTunnelConfiguration",
      routesInclude: ["10.0.0.0/8"],
      routesExclude: ["10.1.0.0/16"],
      routeExcludes: ["10.2.0.0/16"],
    });
    expect(made).toMatchObject({
      routeIncludes: ["10.0.0.0/8"],
      routesInclude: ["10.0.0.0/8"],
      routeExcludes: ["10.2.0.0/16"],
      routesExclude: ["10.2.0.0/16"],
    });
    const path = `/microsoftTunnelConfigurations/${made.id}`;
    const older = await admin.patch(path, { routesInclude: ["10.3.0.0/16"] });
    expect(older).toMatchObject({ routeIncludes: ["10.3.0.0/16"], routesExclude: ["10.2.0.0/16"] });
    expect(await admin.patch(path, { routeIncludes: [] })).toMatchObject({ routesInclude: [] });
  });
});
