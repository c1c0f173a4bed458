import { type ChildProcess, execFile, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { withSiteVpn } from "@isthmus/control-plane/core/tunnel-site-vpn";
import {
  type ApiClient,
  ControlPlaneFixture,
} from "@isthmus/control-plane/main/control-plane-fixture";
import { freePort } from "@isthmus/shared/testing/free-port";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { desiredConfiguration } from "@isthmus/tunnel-gateway/config/desired-configuration";
import {
  makeDeviceAuthority,
  makeServerIdentity,
  writeIdentity,
} from "@isthmus/tunnel-gateway/testing/test-certificates";
import { expect, test } from "vitest";

const GATEWAY_MAIN = resolve("tunnel-gateway/src/main.ts");
const WAIT_MS = 60_000;
const staff = { name: "staff", authentication: [["certificate"]] };

/** A site that says as much as the API takes. */
const LARGEST = {
  dnsServers: Array<string>(8).fill("2001:db8::53"),
  defaultDomainSuffix: `${"x".repeat(253)}y`,
  routeIncludes: Array<string>(5_000).fill("2001:db8:1234:5678::/64"),
  routeExcludes: Array<string>(5_000).fill("10.100.200.0/24"),
  splitDNS: Array<string>(500).fill("_sub.example"),
  disableUdpConnections: true,
  internalNetworkProbeUrl: `http://intranet.example/${"x".repeat(2_024)}`,
};
const settingsOf = (side: 0 | 1) => [
  { name: "dpd", value: ["5", "3600"][side] ?? "" },
  { name: "mobile-dpd", value: ["5", "86400"][side] ?? "" },
  { name: "idle-timeout", value: ["0", "2592000"][side] ?? "" },
  { name: "session-timeout", value: ["0", "31536000"][side] ?? "" },
  { name: "cookie-timeout", value: ["10", "604800"][side] ?? "" },
  { name: "keepalive", value: ["0", "86400"][side] ?? "" },
  { name: "rekey-time", value: ["600", "604800"][side] ?? "" },
  { name: "mtu", value: ["576", "1500"][side] ?? "" },
  { name: "max-same-clients", value: ["1", "10000"][side] ?? "" },
  { name: "banner", value: "x".repeat([0, 1_000][side] ?? 0) },
];

test.each([0, 1] as const)("a gateway takes whatever a site can say (%d)", (side) => {
  const site = { ...LARGEST, advancedSettings: settingsOf(side) };
  const compiled = withSiteVpn({ vpn: { groups: [staff] } }, site);
  const { vpn } = desiredConfiguration.parse(compiled);
  expect(vpn.groups[0]).toMatchObject({
    routesInclude: LARGEST.routeIncludes,
    udp: false,
    mtu: side === 0 ? 576 : 1_500,
    timeouts: { dpdSeconds: side === 0 ? 5 : 3_600 },
  });
});

test("a real gateway puts its site's configuration in force, and is judged by its health", async () => {
  using folder = temporaryFolder();
  await using cloud = await ControlPlaneFixture.start(join(folder.path, "cloud"));
  const admin = await cloud.client();
  const listenPort = await freePort();
  await using gateway = await RealGateway.enrol(folder.path, admin, listenPort);
  const configuration = await admin.post(
    "/microsoftTunnelConfigurations",
    { displayName: "VPN", listenPort: 443, routeIncludes: ["10.0.0.0/8"] },
    201,
  );
  const site = await admin.post(
    "/microsoftTunnelSites",
    {
      displayName: "Site",
      publicAddress: "vpn.example.com",
      microsoftTunnelConfigurationId: configuration.id,
    },
    201,
  );
  const server = `/microsoftTunnelServers/${gateway.id}`;
  await admin.patch(server, { microsoftTunnelSiteId: site.id });
  const own = { configuration: { vpn: { groups: [staff] } } };
  await admin.call("PUT", `/connectors/${gateway.id}/desiredConfiguration`, own, 200);
  gateway.start();
  const connector = () => admin.get(`/connectors/${gateway.id}`);
  const isApplied = (version: number) => async () => {
    const { configurationVersionApplied, configurationError } = await connector();
    expect(configurationError).toBeNull();
    return configurationVersionApplied === version;
  };
  await until(isApplied(1), "the configuration with the site's", WAIT_MS);
  const judged = async () => {
    const { healthDetails } = await admin.get(server);
    return healthDetails?.find(({ name }: { name: string }) => name === "configuration-applied");
  };
  const difference = `listenPort 443, server ${listenPort}`;
  await until(async () => (await judged())?.reason.endsWith(difference), "its own port", WAIT_MS);
  await admin.patch(`/microsoftTunnelConfigurations/${configuration.id}`, {
    listenPort,
    routeExcludes: ["10.9.0.0/16"],
    advancedSettings: [{ name: "dpd", value: "45" }],
  });
  await until(isApplied(2), "the changed configuration", WAIT_MS);
  expect(await judged()).toMatchObject({ status: "healthy", reason: "version 2 is in force" });
  const { value } = await admin.post(`${server}/getHealthMetrics`, {});
  const names = value.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(["connections-percent", "cpu-cores"]));
  const { lastCheckinDateTime, serverVersion } = await admin.get(server);
  expect(Date.parse(lastCheckinDateTime)).toBeGreaterThan(Date.now() - WAIT_MS);
  expect(serverVersion).toMatch(/^\d+\.\d+\.\d+/);
});

/** The gateway's process. It serves the relay alone: the VPN's packets need a host that is set up for them. */
class RealGateway implements AsyncDisposable {
  readonly id: string;
  readonly #config: string;
  #child: ChildProcess | undefined;

  private constructor(id: string, config: string) {
    this.id = id;
    this.#config = config;
  }

  static async enrol(folder: string, admin: ApiClient, port: number): Promise<RealGateway> {
    const config = join(folder, "gateway.json");
    writeFileSync(join(folder, "devices.pem"), (await makeDeviceAuthority()).pem);
    const local = {
      stateFolder: "gateway",
      listen: { address: "127.0.0.1", port },
      health: { address: "127.0.0.1", port: 0 },
      log: { level: "warn" },
      tls: writeIdentity(folder, "server", await makeServerIdentity()),
      trustAnchors: { devices: { file: "devices.pem" } },
    };
    writeFileSync(config, JSON.stringify(local), { mode: 0o600 });
    const { token } = await admin.post("/enrolmentTokens", { service: "tunnel-gateway" }, 201);
    writeFileSync(join(folder, "token"), token, { mode: 0o600 });
    const words = ["enrol", "--config", config, "--token-file", join(folder, "token"), "--json"];
    const { stdout } = await promisify(execFile)(process.execPath, [GATEWAY_MAIN, ...words]);
    return new RealGateway(JSON.parse(stdout).connectorId, config);
  }

  start(): void {
    const words = [GATEWAY_MAIN, "run", "--config", this.#config];
    this.#child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "inherit"] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    await ended;
  }
}
