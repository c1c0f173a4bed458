import { LAB, type Lab } from "./namespaces.ts";

/** UDP to the gateway, or to these addresses of it, vanishes on its way, as from many hotels. */
export async function blockUdp(
  lab: Lab,
  { ipv4, ipv6 }: { readonly ipv4: string; readonly ipv6: string } = LAB.gateway,
): Promise<AsyncDisposable> {
  const chain = "add chain inet hotel in { type filter hook prerouting priority -300; }";
  const rules = [`ip daddr ${ipv4}`, `ip6 daddr ${ipv6}`].map(
    (match) => `add rule inet hotel in ${match} udp dport 443 drop`,
  );
  await lab.run("gateway", ["nft", ["add table inet hotel", chain, ...rules].join("; ")]);
  return {
    async [Symbol.asyncDispose]() {
      await lab.run("gateway", ["nft", "delete table inet hotel"]);
    },
  };
}
