import type { Scene } from "./scene.ts";

/** Everything: what is refused is refused by the gateway's own rules. */
export const EVERYTHING = {
  policies: [
    {
      name: "all",
      groups: ["*"],
      rules: [
        {
          name: "everything",
          action: "allow",
          protocol: "any",
          destinations: [{ cidr: "0.0.0.0/0" }, { cidr: "::/0" }],
        },
      ],
    },
  ],
};

/** Counts what comes out of the gateway's TUN devices, for `passed`. */
export async function watchTunnels({ lab }: Scene): Promise<void> {
  const watch = "add chain inet watch tunnels { type filter hook prerouting priority -300; }";
  const counter = 'add rule inet watch tunnels iifname "isthmus*" counter';
  await lab.run("gateway", ["nft", `add table inet watch; ${watch}; ${counter}`]);
}

/** Packets that came out of them so far. */
export async function passed({ lab }: Scene): Promise<number> {
  const printed = await lab.run("gateway", ["nft", "list table inet watch"]);
  return Number(/packets (\d+)/.exec(printed)?.[1]);
}

/** What `/metrics` says was dropped, by reason. */
export async function dropped(scene: Scene): Promise<Record<string, number>> {
  const name = "tunnel_gateway_vpn_packets_dropped_total";
  const found = [...(await scene.metrics())].filter(([key]) => key.startsWith(name));
  return Object.fromEntries(
    found.map(([key, value]) => [/reason="([^"]*)"/.exec(key)?.[1] ?? key, value]),
  );
}
