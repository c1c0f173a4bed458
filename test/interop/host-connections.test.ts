import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { tunnelSlices } from "@isthmus/tunnel-gateway/core/vpn/tunnel-slices";
import { hostPlan } from "@isthmus/tunnel-gateway/packets/host-plan";
import { expect, test } from "vitest";
import { unfit } from "../peers.ts";
import { LAB, Lab, labObstacle } from "../vpn-lab/namespaces.ts";

const FLOWS = 12_000;
/** What the rules leave to one client. */
const LIMIT = 8_192;

/** Opens a flow to each of so many ports, in steps that no buffer overflows by. */
const FLOOD = `
  const { createSocket } = require("node:dgram");
  const [, family, address, flows] = process.argv;
  const socket = createSocket(family);
  socket.on("error", () => {});
  (async () => {
    for (let port = 1; port <= Number(flows); port += 1) {
      await new Promise((done) => socket.send("x", port, address, done));
    }
    socket.close();
  })();
`;

test("a client that opens more connections than is its share fills no more of the host's table", async (context) => {
  const obstacle = labObstacle();
  if (obstacle) return unfit(obstacle, context);
  await using lab = await Lab.make(`ct${randomBytes(2).toString("hex")}`);
  using folder = temporaryFolder();
  const slices = tunnelSlices({
    network: "10.99.1.0/24",
    ipv6Network: "fd99:1::/64",
    tunnels: { name: "tunnel", count: 1 },
  }).map((slice) => ({ ...slice, device: "outside" }));
  const nat = { masquerade: true, interfaces: undefined, otherTraffic: "drop" as const };
  const plan = hostPlan({ slices, pools: [], user: "root", mtu: 1_500, ...nat });
  const rules = join(folder.path, "rules");
  writeFileSync(rules, plan.find(({ command }) => command[0] === "nft")?.input ?? "");
  await lab.run("gateway", ["nft", "-f", rules]);
  await lab.ip("client", `route replace default via ${LAB.gateway.ipv4}`);
  await lab.ip("client", `-6 route replace default via ${LAB.gateway.ipv6}`);
  const figure = async (name: string) =>
    Number(await lab.run("gateway", ["cat", `/proc/sys/net/netfilter/nf_conntrack_${name}`]));
  const flood = async (family: string, address: string) =>
    await lab.run("client", [process.execPath, "-e", FLOOD, family, address, `${FLOWS}`]);

  await flood("udp4", LAB.internal.ipv4);
  const ofOne = await figure("count");
  expect(ofOne).toBeGreaterThan(LIMIT / 2);
  expect(ofOne).toBeLessThan(LIMIT + 100);
  await flood("udp6", LAB.internal.ipv6);
  expect(await figure("count")).toBeLessThan(2 * LIMIT + 100);
  const refused = await lab.run("gateway", ["nft", "list", "counters"]);
  expect(Number(/packets (\d+)/.exec(refused)?.[1])).toBeGreaterThan(FLOWS - LIMIT - 100);
  // Another client, and the host itself, open theirs as before.
  await lab.ip("client", "address add 10.99.1.3/24 dev outside");
  const ping = ["ping", "-c", "1", "-W", "5", "-I", "10.99.1.3", LAB.internal.ipv4];
  expect(await lab.run("client", ping)).toContain("1 received");
});
