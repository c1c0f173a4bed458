import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfiguration } from "@isthmus/shared/kernel/configuration";
import { runCheck } from "@isthmus/shared/kernel/health";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { localConfiguration } from "../config/local-configuration.ts";
import { makeServerIdentity, writeIdentity } from "../testing/test-certificates.ts";
import { hostChecks, kernelHealth } from "./readiness.ts";

async function checksOf(vpn: unknown) {
  using folder = temporaryFolder();
  const server = await makeServerIdentity();
  const file = join(folder.path, "config.json");
  const tls = writeIdentity(folder.path, "server", server);
  const listen = { address: "127.0.0.1", port: 0 };
  const trustAnchors = { devices: { file: tls.certificateFile } };
  writeFileSync(file, JSON.stringify({ listen, tls, trustAnchors, vpn }));
  const results = await Promise.all(
    hostChecks(loadConfiguration(localConfiguration, file)).map(runCheck),
  );
  return new Map(results.map((result) => [result.name, result]));
}

test("a host without the tunnels is not ready, and is told what makes them", async () => {
  const found = await checksOf({ network: "10.98.0.0/16", tunnels: { name: "nosuch", count: 2 } });
  for (const name of ["tunnel-nosuch0", "tunnel-nosuch1"]) {
    expect(found.get(name)).toMatchObject({
      status: "unhealthy",
      reason: "it does not exist",
      remedy: expect.stringContaining("host-setup"),
    });
  }
  expect(found.get("udp-port")).toMatchObject({ status: "healthy" });
  expect([...found.keys()]).toEqual(expect.arrayContaining(["forwarding", "tun", "dns"]));
});

test("addresses that pools stand for are the host's own, or it is said which are not", async () => {
  const pools = [
    { name: "one", networks: ["10.98.0.0/24"], sourceAddress: "127.0.0.1" },
    { name: "two", networks: ["10.98.1.0/24"], sourceAddress: "192.0.2.99" },
    { name: "three", networks: ["10.98.2.0/24"], sourceAddress: "none" },
  ];
  const sources = async (count: number) =>
    (await checksOf({ network: "10.98.0.0/16", pools: pools.slice(0, count) })).get(
      "source-addresses",
    );
  expect(await sources(1)).toMatchObject({ status: "healthy" });
  expect(await sources(3)).toMatchObject({
    status: "warning",
    reason: "192.0.2.99, of vpn.pools, are no addresses of this host",
  });
});

test("a gateway without a VPN needs no tunnels", async () => {
  expect([...(await checksOf(undefined)).keys()]).toEqual(["node", "processors", "dns"]);
});

test.each([
  ["6.12.9", true, "warning"],
  ["6.13.0-rc1", true, "healthy"],
  ["5.15.0-91-generic", true, "warning"],
  ["5.15.0", false, "healthy"],
  ["7.0", true, "healthy"],
])("Linux %s with UDP %s is %s for many clients", (version, udp, status) => {
  expect(kernelHealth(version, udp).status).toBe(status);
});
