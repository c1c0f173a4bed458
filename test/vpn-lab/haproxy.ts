import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LAB, type Lab } from "./namespaces.ts";
import { serving } from "./serving.ts";

const PORT = 443;

/** A way through it: clients come to `address`, and from there it goes on to the gateway. */
export interface BalancedWay {
  readonly name: string;
  readonly address: string;
  readonly gateway: string;
  /** What it says first; nothing without. */
  readonly header: "send-proxy" | "send-proxy-v2" | undefined;
}

/** Debian's haproxy on the clients' side of the lab, with an address of its own for each way. */
export async function startHaproxy(
  lab: Lab,
  folder: string,
  ways: readonly BalancedWay[],
): Promise<AsyncDisposable> {
  mkdirSync(folder, { recursive: true });
  for (const { address } of ways) {
    const length = address.includes(":") ? "64 dev outside nodad" : "24 dev outside";
    await lab.ip("client", `addr add ${address}/${length}`);
    if (!address.includes(":")) continue;
    // Or else who connects to an own address of IPv6 comes from that same address.
    await lab.ip("client", `-6 route del local ${address} table local`);
    const from = `dev lo src ${LAB.client.ipv6} table local`;
    await lab.ip("client", `-6 route add local ${address} ${from}`);
  }
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, configuration(ways));
  const child = lab.start("client", ["haproxy", "-db", "-f", file]);
  const isReady = async () => (await lab.listeners("client", PORT)) >= ways.length;
  return await serving("haproxy", child, isReady);
}

function configuration(ways: readonly BalancedWay[]): string {
  const of = ({ name, address, gateway, header }: BalancedWay) => {
    const at = (host: string) => (host.includes(":") ? `[${host}]:${PORT}` : `${host}:${PORT}`);
    return [
      `listen ${name}`,
      `  bind ${at(address)}`,
      `  source ${address.includes(":") ? `[${address}]` : address}`,
      `  server gateway ${at(gateway)} ${header ?? ""}`,
    ];
  };
  const times = ["connect 5s", "client 10m", "server 10m"].map((time) => `  timeout ${time}`);
  const start = ["global", "  maxconn 100", "  nbthread 1", "defaults", "  mode tcp", ...times];
  return [...start, ...ways.flatMap(of), ""].join("\n");
}
