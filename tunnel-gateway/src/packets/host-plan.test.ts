import { expect, test } from "vitest";
import { vpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import { addressPools } from "../core/vpn/address-pools.ts";
import { tunnelSlices } from "../core/vpn/tunnel-slices.ts";
import { hostPlan, removalPlan } from "./host-plan.ts";
import { asScript } from "./host-setup.ts";

const slices = tunnelSlices({
  network: "10.98.0.0/16",
  ipv6Network: "fd98::/112",
  tunnels: { name: "isthmus", count: 2 },
});
const good = {
  slices,
  pools: [],
  user: "1000",
  mtu: 1_500,
  masquerade: true,
  interfaces: undefined,
  otherTraffic: "drop" as const,
};

function rulesOf(change: Partial<Parameters<typeof hostPlan>[0]> = {}): string {
  const step = hostPlan({ ...good, ...change }).find(({ command }) => command[0] === "nft");
  return step?.input ?? "";
}

function settingsOf(change: Partial<Parameters<typeof hostPlan>[0]>): readonly string[] {
  const step = hostPlan({ ...good, ...change }).find(({ command }) => command[0] === "sysctl");
  return step?.unlessSet ?? [];
}

test("every tunnel gets a device of the gateway's user with offload, both addresses, and is up", () => {
  const commands = hostPlan(good).map(({ command }) => command.join(" "));
  expect(commands).toEqual([
    "ip tuntap add dev isthmus0 mode tun user 1000 vnet_hdr",
    "ip link set dev isthmus0 mtu 1500 txqueuelen 1000 up",
    "ip address replace 10.98.0.1/17 dev isthmus0",
    "ip -6 address replace fd98::1/113 dev isthmus0",
    "ip tuntap add dev isthmus1 mode tun user 1000 vnet_hdr",
    "ip link set dev isthmus1 mtu 1500 txqueuelen 1000 up",
    "ip address replace 10.98.128.1/17 dev isthmus1",
    "ip -6 address replace fd98::8001/113 dev isthmus1",
    "nft -f -",
    "sysctl -q -w net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1",
  ]);
});

test("clients are translated on their way out of every interface but the tunnels, or of those that are named", () => {
  const rules = rulesOf();
  expect(rules).toContain(
    'ip saddr { 10.98.0.0/17, 10.98.128.0/17 } oifname != { "isthmus0", "isthmus1" } masquerade',
  );
  expect(rules).toContain("ip6 saddr { fd98::/113, fd98::8000/113 }");
  const named = rulesOf({ interfaces: ["eth1"] });
  expect(named).toContain('oifname { "eth1" } masquerade');
});

test("nobody but a client passes with a client's address", () => {
  const rules = rulesOf({ masquerade: false });
  expect(rules).toContain("type filter hook prerouting priority raw;");
  expect(rules).toContain(
    'iifname != { "lo", "isthmus0", "isthmus1" } ip saddr { 10.98.0.0/17, 10.98.128.0/17 } drop',
  );
  expect(rules).toContain(
    'iifname != { "lo", "isthmus0", "isthmus1" } ip6 saddr { fd98::/113, fd98::8000/113 } drop',
  );
});

test("one client cannot fill the kernel's table of connections, nor keep idle ones there for days", () => {
  const rules = rulesOf();
  for (const [word, type] of [
    ["ip", "ipv4_addr"],
    ["ip6", "ipv6_addr"],
  ]) {
    const opening = 'iifname { "isthmus0", "isthmus1" } ct status & confirmed == 0';
    const counted = `add @${word}Clients { ${word} saddr ct count over 8192 }`;
    expect(rules).toContain(`set ${word}Clients { type ${type}; size 65536; flags dynamic; }`);
    expect(rules).toContain(`${opening} ${counted} counter name connectionsRefused drop\n`);
    expect(rules).toContain(`${opening} meta protocol ${word} meta l4proto tcp ct timeout set`);
  }
  // Where nothing is translated, the rules are not what makes the kernel track connections.
  expect(rulesOf({ masquerade: false })).not.toContain("ct ");
});

test("without translation none is left, whatever an earlier run left in our table", () => {
  const rules = rulesOf({ masquerade: false });
  expect(rules).toMatch(/^table inet isthmus\ndelete table inet isthmus\ntable inet isthmus \{\n/);
  expect(rules).not.toContain("masquerade");
});

test("the script does the same and may be run again", () => {
  const script = asScript(hostPlan(good));
  expect(script).toContain(
    "test -e /sys/class/net/isthmus0 || ip tuntap add dev isthmus0 mode tun user 1000 vnet_hdr",
  );
  expect(script).toContain("nft -f - <<'RULES'\ntable inet isthmus\n");
  expect(script).toContain(
    'test "$(cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding | grep -cx 1)" = 2 || sysctl',
  );
  expect(asScript(removalPlan(slices))).toContain(
    "test ! -e /sys/class/net/isthmus1 || ip link delete isthmus1",
  );
});

test("nothing that is given for a user or an interface becomes a command of root's", () => {
  for (const user of ["", "-h", "1000; reboot", "a b", "x\ny", "$(id)"]) {
    expect(() => hostPlan({ ...good, user })).toThrow("is no name of a user");
  }
  expect(() => hostPlan({ ...good, user: "isthmus-gateway" })).not.toThrow();
  const withInterface = (name: string) =>
    vpnLocalConfiguration.safeParse({ network: "10.98.0.0/16", nat: { interfaces: [name] } });
  for (const name of ['x" } drop #', "a b", "a;b", "", "a\n"]) {
    expect(withInterface(name).success).toBe(false);
  }
  expect(withInterface("eth0.100").success).toBe(true);
});

test("forwarding that is on already is left alone, as in a container whose settings are read-only", () => {
  const step = hostPlan(good).find(({ command }) => command[0] === "sysctl");
  expect(step?.unlessSet).toEqual(["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]);
});

test("where the interfaces to the internal network are known, IPv4 is let in by them and the tunnels alone", () => {
  expect(settingsOf({ interfaces: ["eth0.100"] })).toEqual([
    "net/ipv4/conf/isthmus0/forwarding",
    "net/ipv4/conf/isthmus1/forwarding",
    "net/ipv4/conf/eth0.100/forwarding",
    "net/ipv6/conf/all/forwarding",
  ]);
});

test("nothing passes but what comes from clients or goes to them, unless the host forwards for others", () => {
  const tunnels = '{ "isthmus0", "isthmus1" }';
  expect(rulesOf()).toContain(
    `    iifname ${tunnels} accept\n    oifname ${tunnels} accept\n    drop\n  }`,
  );
  const inside = '{ "isthmus0", "isthmus1", "eth1" }';
  const named = rulesOf({ interfaces: ["eth1"], otherTraffic: "leave" });
  expect(named).toContain(
    [
      `    iifname ${tunnels} oifname ${inside} accept`,
      `    oifname ${tunnels} iifname ${inside} accept`,
      `    iifname ${tunnels} drop`,
      `    oifname ${tunnels} drop`,
      "  }",
    ].join("\n"),
  );
});

test("each pool's clients appear under its own addresses, or their own, before the rest is translated", () => {
  const pools = addressPools(
    [
      {
        name: "staff",
        networks: ["10.98.0.0/24", "10.98.128.0/24"],
        sourceAddress: "10.1.0.9",
        ipv6SourceAddress: "fd01::9",
      },
      { name: "guests", networks: ["10.98.1.0/24"], sourceAddress: "none" },
    ],
    slices,
  );
  const out = 'oifname != { "isthmus0", "isthmus1" }';
  // What the kernel takes for no packet of a connection would pass the translation untouched.
  const stray = "ct state invalid,untracked";
  const rules = rulesOf({ pools }).split("\n").slice(-20);
  expect(rules.map((line) => line.trim())).toEqual([
    "chain untranslated {",
    "type filter hook forward priority filter; policy accept;",
    `${stray} ip saddr { 10.98.0.0/24, 10.98.128.0/24 } ${out} drop`,
    `${stray} ip saddr { 10.98.1.0/24 } ${out} accept`,
    `${stray} ip saddr { 10.98.0.0/17, 10.98.128.0/17 } ${out} drop`,
    `${stray} ip6 saddr { fd98::/120, fd98::8000/120 } ${out} drop`,
    `${stray} ip6 saddr { fd98::100/120 } ${out} drop`,
    `${stray} ip6 saddr { fd98::/113, fd98::8000/113 } ${out} drop`,
    "}",
    "chain translation {",
    "type nat hook postrouting priority srcnat; policy accept;",
    `ip saddr { 10.98.0.0/24, 10.98.128.0/24 } ${out} snat ip to 10.1.0.9`,
    `ip saddr { 10.98.1.0/24 } ${out} accept`,
    `ip saddr { 10.98.0.0/17, 10.98.128.0/17 } ${out} masquerade`,
    `ip6 saddr { fd98::/120, fd98::8000/120 } ${out} snat ip6 to fd01::9`,
    `ip6 saddr { fd98::100/120 } ${out} masquerade`,
    `ip6 saddr { fd98::/113, fd98::8000/113 } ${out} masquerade`,
    "}",
    "}",
    "",
  ]);
});
