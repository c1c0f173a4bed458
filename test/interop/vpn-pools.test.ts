import { afterAll, beforeAll, expect, test } from "vitest";
import { LAB } from "../vpn-lab/namespaces.ts";
import type { OpenconnectClient } from "../vpn-lab/openconnect.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";

/**
 * Groups by pools: whose clients the internal host sees, in both families. And what the host forwards, once it forwards for
 * clients: theirs, and nobody else's.
 */

const SOURCE = { ipv4: "10.99.2.50", ipv6: "fd99:2::50" } as const;
const GROUP = { authentication: [["certificate"]], requireDevice: true } as const;
const OWN_IPV4 = /^10\.98\.64\.\d+$/;
const OWN_IPV6 = /^fd98::40[0-9a-f]{2}$/;

const routesInclude = [LAB.internal.network, LAB.internal.ipv6Network];
const groups = [
  { ...GROUP, name: "staff", pool: "staff", routesInclude },
  { ...GROUP, name: "guests", pool: "guests", routesInclude },
  { ...GROUP, name: "others", routesInclude },
];

let scene: Scene | undefined;

beforeAll(async () => {
  const pools = [
    {
      name: "staff",
      networks: ["10.98.0.0/24", "10.98.128.0/24"],
      sourceAddress: SOURCE.ipv4,
      ipv6SourceAddress: SOURCE.ipv6,
    },
    {
      name: "guests",
      networks: ["10.98.64.0/24"],
      sourceAddress: "none",
      ipv6SourceAddress: "none",
    },
  ];
  scene = await Scene.make("vpnpool", {
    groups,
    vpn: { pools, nat: { interfaces: ["inside"] } },
  });
  await scene?.lab.ip("gateway", `addr add ${SOURCE.ipv4}/32 dev inside`);
  // Deprecated, or the kernel would take it for its own packets and those that it masquerades.
  const own = `${SOURCE.ipv6}/128 dev inside preferred_lft 0 nodad`;
  await scene?.lab.ip("gateway", `-6 addr add ${own}`);
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

/** As whom the internal host sees the client, by the connection that it has from it. */
async function seenAs(place: Scene, family: 4 | 6): Promise<string> {
  const [target, name] =
    family === 4 ? [LAB.internal.ipv4, "ipv4"] : [`[${LAB.internal.ipv6}]`, "ipv6"];
  const url = `http://${target}:8000/peer`;
  const printed = await place.lab.run("client", ["curl", "-sS", "--fail", "-m", "20", url]);
  expect(printed, name).not.toBe("");
  return printed.trim();
}

async function bothSeen(place: Scene): Promise<readonly string[]> {
  return [await seenAs(place, 4), await seenAs(place, 6)];
}

test("groups appear inside under the addresses of their pools, in both families", async (context) => {
  const place = ready(scene, context, "nft");
  const seen = async (path: string) => {
    await using client: OpenconnectClient = await place.connect({ path });
    const as = await bothSeen(place);
    await client.disconnect();
    return as;
  };
  expect(await seen("staff")).toEqual([SOURCE.ipv4, SOURCE.ipv6]);
  expect(await seen("guests")).toEqual([
    expect.stringMatching(OWN_IPV4),
    expect.stringMatching(OWN_IPV6),
  ]);
  expect(await seen("others")).toEqual([LAB.gateway.insideIpv4, LAB.gateway.insideIpv6]);
});

test("a client whose group gets another pool has an address of it at its next connection", async (context) => {
  const place = ready(scene, context, "nft");
  const pool = async () =>
    (await place.sessions()).find(({ state }) => state === "connected")?.pool;
  const isApplied = (count: number) => () =>
    place.gateway.output().split('"state":"applied"').length > count;
  await using before = await place.connect({ path: "staff" });
  expect(await pool()).toBe("staff");
  const applied = place.gateway.output().split('"state":"applied"').length;
  const [first, ...others] = groups;
  place.gateway.configure({ groups: [{ ...first, pool: "guests" }, ...others] });
  await until("the configuration is applied", isApplied(applied), place.gateway.output);
  expect(await bothSeen(place)).toEqual([SOURCE.ipv4, SOURCE.ipv6]);
  await before.disconnect();
  await using after = await place.connect({ path: "staff" });
  expect(await pool()).toBe("guests");
  expect((await bothSeen(place))[0]).toMatch(OWN_IPV4);
  await after.disconnect();
  place.gateway.configure({ groups });
  await until("and back", isApplied(applied + 1), place.gateway.output);
});

test("host-setup opens the way for clients alone, may run again, and goes without a trace", async (context) => {
  const place = ready(scene, context, "nft");
  const { lab, gateway } = place;
  const sysctl = (...settings: string[]) => lab.run("gateway", ["sysctl", "-qw", ...settings]);
  const hostSetup = (...words: string[]) =>
    gateway.command("host-setup", "--user", "root", ...words);
  await sysctl("net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0");
  // Its tunnels are there: nobody is held back who was not before.
  expect(await hostSetup()).toMatchObject({ endsOthersForwarding: false });
  await hostSetup();
  const settings = ["inside", "outside", "isthmus0"].map(
    (device) => `net.ipv4.conf.${device}.forwarding`,
  );
  const shown = await lab.run("gateway", ["sysctl", "-n", ...settings, "net.ipv4.ip_forward"]);
  expect(shown.trim().split("\n")).toEqual(["1", "0", "1", "0"]);
  await using client = await place.connect({ path: "others" });
  expect(await bothSeen(place)).toEqual([LAB.gateway.insideIpv4, LAB.gateway.insideIpv6]);
  await client.disconnect();

  const { ipv4, ipv6, network, ipv6Network } = { ...LAB.internal };
  await lab.ip("client", `route replace ${network} via ${LAB.gateway.ipv4}`);
  await lab.ip("client", `-6 route replace ${ipv6Network} via ${LAB.gateway.ipv6}`);
  const passes = async (address: string) =>
    await lab.run("client", ["ping", "-c", "1", "-W", "1", address]).then(
      () => true,
      () => false,
    );
  expect([await passes(ipv4), await passes(ipv6)]).toEqual([false, false]);
  // The rules hold it back, where a setting of the whole host does not.
  await sysctl("net.ipv4.ip_forward=1");
  expect([await passes(ipv4), await passes(ipv6)]).toEqual([false, false]);
  await lab.run("gateway", ["nft", "flush", "chain", "inet", "isthmus", "passage"]);
  expect([await passes(ipv4), await passes(ipv6)]).toEqual([true, true]);

  await gateway.kill();
  await hostSetup("--remove");
  await hostSetup("--remove");
  expect(await lab.ip("gateway", "-o link")).not.toContain("isthmus");
  expect(await lab.run("gateway", ["nft", "list", "tables"])).not.toContain("isthmus");
  // It forwards still.
  expect(await hostSetup()).toMatchObject({ endsOthersForwarding: true });
  await hostSetup("--remove");
});
