import { hash } from "node:crypto";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TUNNEL_METRICS } from "../core/tunnel-metrics.ts";
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

describe("a tunnel configuration", () => {
  test.each<[string, object, RegExp]>([
    ["no network", { routeIncludes: ["intranet"] }, /routeIncludes\.0: expected a network/],
    ["an address", { routeExcludes: ["10.0.0.1"] }, /routeExcludes\.0: expected a network/],
    ["an old name, too", { routesInclude: ["10.0.0.0/33"] }, /routeIncludes\.0/],
    ["no address", { dnsServers: ["dns.example"] }, /dnsServers\.0/],
    ["too many servers", { dnsServers: Array(9).fill("10.0.0.1") }, /dnsServers/],
    ["too many routes", { routeIncludes: Array(5_001).fill("10.0.0.0/8") }, /routeIncludes/],
    ["too many names", { splitDNS: Array(501).fill("a.example") }, /splitDNS/],
    ["no domain", { defaultDomainSuffix: "-.example" }, /defaultDomainSuffix: expected a domain/],
    [
      "a setting that nobody knows",
      { advancedSettings: [{ name: "tun-device", value: "x" }] },
      /advancedSettings\.0: tun-device is no known setting; known are dpd/,
    ],
    [
      "a setting out of bounds",
      { advancedSettings: [{ name: "mtu", value: "9000" }] },
      /advancedSettings\.0: mtu: expected a whole number from 576 to 1500/,
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

describe("the health of a tunnel server", () => {
  const figures = { "cpu-percent": 97, "disk-free-megabytes": 20_000.4, devices: 3 };
  const server = ({ id }: ConnectorFixture) => `/microsoftTunnelServers/${id}`;
  const status = async (gateway: ConnectorFixture) =>
    (await admin.get(server(gateway))).tunnelServerHealthStatus;

  test("is judged by its figures, which are answered by name and over time", async () => {
    await using gateway = await connected();
    gateway.health("healthy", { figures });
    await until(async () => (await status(gateway)) === "warning", "the figures");
    const { healthDetails, serverVersion } = await admin.get(server(gateway));
    expect(serverVersion).toBe("1");
    expect(healthDetails).toContainEqual({
      name: "cpu-percent",
      status: "warning",
      value: 97,
      reason: "processor, 5 min average: 97 %, healthy up to 95 %",
    });
    const metrics = await admin.post(`${server(gateway)}/getHealthMetrics`, {
      metricNames: ["cpu-percent", "disk-free-megabytes", "cpu-cores"],
    });
    expect(metrics.value).toEqual([
      { name: "cpu-percent", value: 97 },
      { name: "disk-free-megabytes", value: 20_000 },
    ]);
    const all = await admin.post(`${server(gateway)}/getHealthMetrics`, {});
    expect(all.value).toHaveLength(3);

    const series = (metricName: string, from: number, to: number) =>
      admin.post(`${server(gateway)}/getHealthMetricTimeSeries`, {
        metricName,
        startDateTime: new Date(from).toISOString(),
        endDateTime: new Date(to).toISOString(),
      });
    const [now, hour] = [Date.now(), 3_600_000];
    const { value } = await series("cpu-percent", now - hour, now + hour);
    expect(value.at(-1)).toMatchObject({ value: 97 });
    expect(Date.parse(value.at(-1).dateTime) % 300_000).toBe(0);
    expect((await series("cpu-percent", now - 2 * hour, now - hour)).value).toEqual([]);
    expect((await series("cpu-cores", now - hour, now + hour)).value).toEqual([]);
  });

  test("keeps one sample for five minutes, the last", async () => {
    await using gateway = await connected();
    const ask = async () => {
      const { value } = await admin.post(`${server(gateway)}/getHealthMetricTimeSeries`, {
        metricName: "cpu-percent",
        startDateTime: "2020-01-01T00:00:00Z",
        endDateTime: "2100-01-01T00:00:00Z",
      });
      return value;
    };
    for (let cpu = 1; cpu <= 5; cpu++) {
      gateway.health("healthy", { figures: { "cpu-percent": cpu } });
      await until(async () => (await ask()).at(-1)?.value === cpu, `value ${cpu}`);
    }
    // Two, where a step of five minutes ends just now.
    expect((await ask()).length).toBeLessThanOrEqual(2);
  });

  test("is warned of where server and site differ, and where a configuration is refused", async () => {
    await using gateway = await connected();
    const configuration = await newConfiguration({ network: "10.8.0.0/16", listenPort: 443 });
    const site = await newSite({ microsoftTunnelConfigurationId: configuration.id });
    await assign(gateway, site.id);
    await write(gateway, own);
    await sent(gateway, 1);
    gateway.configurationState(1);
    gateway.health("healthy", { facts: { "vpn-network": "10.9.0.0/16", "listen-port": "443" } });
    await until(async () => (await status(gateway)) === "warning", "the difference");
    const { healthDetails } = await admin.get(server(gateway));
    expect(healthDetails).toContainEqual(
      expect.objectContaining({
        name: "configuration-applied",
        reason: expect.stringContaining("network 10.8.0.0/16, server 10.9.0.0/16"),
      }),
    );
    gateway.configurationState(1, "vpn.groups: nobody");
    gateway.health("healthy");
    await until(async () => (await status(gateway)) === "unhealthy", "the refusal");
  });

  test.each([
    ["getHealthMetrics", { metricNames: ["nothing"] }],
    ["getHealthMetrics", { metricNames: "cpu-percent" }],
    ["getHealthMetricTimeSeries", { metricName: "cpu-percent" }],
    [
      "getHealthMetricTimeSeries",
      { metricName: "cpu-percent", startDateTime: "yesterday", endDateTime: "today" },
    ],
  ])("%s refuses %j", async (action, body) => {
    await admin.post(`/microsoftTunnelServers/any/${action}`, body, 400);
  });

  test("is asked below the server's own site alone", async () => {
    await using gateway = await connected();
    const [site, other] = [await newSite(), await newSite()];
    await assign(gateway, site.id);
    const path = (id: string) => `/microsoftTunnelSites/${id}${server(gateway)}/getHealthMetrics`;
    await admin.post(path(site.id), {}, 200);
    await admin.post(path(other.id), {}, 404);
  });

  test("what cannot be done from here is answered with why", async () => {
    await using gateway = await connected();
    const site = await newSite();
    for (const path of [
      `${server(gateway)}/createServerLogCollectionRequest`,
      `${server(gateway)}/generateServerLogCollectionRequest`,
      `/microsoftTunnelSites/${site.id}/requestUpgrade`,
    ]) {
      const { error } = await admin.post(path, {}, 501);
      expect(error).toMatchObject({
        code: "NotImplemented",
        innerError: { code: "not-implemented" },
      });
      expect(error.message.length).toBeGreaterThan(40);
    }
    await admin.post("/microsoftTunnelSites/nowhere/requestUpgrade", {}, 404);
  });
});

describe("a health threshold", () => {
  const THRESHOLDS = "/microsoftTunnelHealthThresholds";
  const path = `${THRESHOLDS}/cpu-percent`;
  const initial = {
    id: "cpu-percent",
    healthyThreshold: 95,
    unhealthyThreshold: 99,
    defaultHealthyThreshold: 95,
    defaultUnhealthyThreshold: 99,
    unit: "%",
  };

  test("stands there for each metric, can be changed, and put back", async () => {
    const { value } = await admin.get(THRESHOLDS);
    const names = value.map(({ id }: { id: string }) => id);
    expect(names).toEqual(Object.keys(TUNNEL_METRICS).sort());
    expect(await admin.get(path)).toMatchObject(initial);
    await using gateway = await connected();
    gateway.health("healthy", { figures: { "cpu-percent": 60 } });
    const server = () => admin.get(`/microsoftTunnelServers/${gateway.id}`);
    const isNow = (status: string) => async () =>
      (await server()).tunnelServerHealthStatus === status;
    await until(isNow("healthy"), "healthy");
    const change = { healthyThreshold: 50, unhealthyThreshold: 75 };
    expect(await admin.patch(path, change)).toMatchObject({ ...initial, ...change });
    gateway.health("healthy", { figures: { "cpu-percent": 61 } });
    await until(isNow("warning"), "the changed threshold");
    expect((await admin.answer("DELETE", path)).status).toBe(204);
    expect(await admin.get(path)).toMatchObject(initial);
  });

  test.each([
    ["cpu-percent", { healthyThreshold: 100 }, /unhealthyThreshold: below healthyThreshold/],
    ["cpu-cores", { unhealthyThreshold: 5 }, /unhealthyThreshold: above healthyThreshold/],
    ["cpu-percent", { healthyThreshold: 1.5 }, /healthyThreshold/],
    ["cpu-percent", { healthyThreshold: 1_000_000_001 }, /healthyThreshold/],
  ])("of %s does not become %j", async (id, body, fault) => {
    const { error } = await admin.patch(`${THRESHOLDS}/${id}`, body, 400);
    expect(error.message).toMatch(fault);
  });

  test("of nothing is not there", async () => {
    await admin.patch(`${THRESHOLDS}/constructor`, { healthyThreshold: 1 }, 404);
    expect((await admin.answer("DELETE", `${THRESHOLDS}/nothing`)).status).toBe(404);
  });
});
