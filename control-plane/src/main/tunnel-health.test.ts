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
const sent = (gateway: ConnectorFixture, count: number) =>
  until(() => gateway.configurations.length === count, `${count} configurations`);

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
      reason: "processor, 5 min average: 97 %, healthy is at most 95 %",
      remedy: expect.stringContaining("more processors"),
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
