import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { unfit } from "../peers.ts";
import { Lab, labObstacle } from "../vpn-lab/namespaces.ts";

const ENTRY = new URL("../../tunnel-gateway/src/main.ts", import.meta.url).pathname;

test("host-setup takes away what a former configuration would lead packets astray by, and nothing else", async (context) => {
  const obstacle = labObstacle();
  if (obstacle) return unfit(obstacle, context);
  await using lab = await Lab.make(`hs${randomBytes(2).toString("hex")}`);
  using folder = temporaryFolder();
  const config = join(folder.path, "config.json");
  const hostSetup = async (vpn: object, ...words: readonly string[]) => {
    writeFileSync(config, JSON.stringify({ vpn }));
    const call = [process.execPath, ENTRY, "host-setup", "--config", config, "--user", "root"];
    return lab.run("gateway", [...call, ...words]);
  };
  const addresses = async () => {
    const shown = await lab.ip("gateway", "-o address show scope global");
    const all = [...shown.matchAll(/^\d+: (isthmus\d+) +inet6? (\S+)/gm)];
    return all.map(([, device, address]) => `${device} ${address}`).toSorted();
  };
  // Not ours: of nobody's, and without offload.
  await lab.ip("gateway", "tuntap add dev isthmus9 mode tun");
  await lab.ip("gateway", "address add 10.97.0.1/24 dev isthmus9");

  const small = { network: "10.98.0.0/24", ipv6Network: "fd98::/120" };
  await hostSetup({ ...small, tunnels: { count: 4 } });
  expect(await addresses()).toHaveLength(9);
  const large = { network: "10.98.0.0/16", ipv6Network: "fd98::/112", tunnels: { count: 2 } };
  const now = [
    "isthmus0 10.98.0.1/17",
    "isthmus0 fd98::1/113",
    "isthmus1 10.98.128.1/17",
    "isthmus1 fd98::8001/113",
    "isthmus9 10.97.0.1/24",
  ];
  expect(await hostSetup(large, "--print")).toContain(
    "ip address delete 10.98.0.1/26 dev isthmus0",
  );
  await hostSetup(large);
  expect(await addresses()).toEqual(now);
  // Once more nothing is taken away, not even for a moment.
  expect(await hostSetup(large, "--print")).not.toContain("delete 10.");
  await hostSetup(large);
  expect(await addresses()).toEqual(now);
  await hostSetup({ ...large, tunnels: { count: 1 } }, "--remove");
  expect(await addresses()).toEqual(["isthmus9 10.97.0.1/24"]);
});
