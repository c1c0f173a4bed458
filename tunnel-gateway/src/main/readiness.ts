import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { accessSync, constants, readFileSync } from "node:fs";
import { availableParallelism, release } from "node:os";
import { type CliCommand, EXIT_FAILED, EXIT_OK } from "@isthmus/shared/kernel/command";
import { runCheck } from "@isthmus/shared/kernel/health";
import { CONFIG_OPTION, loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import { requireNode } from "@isthmus/shared/kernel/require-node";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { checkLines } from "@isthmus/shared/kernel/status-text";
import { type LocalConfiguration, localConfiguration } from "../config/local-configuration.ts";
import type { VpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import { addressPools, translatedTo } from "../core/vpn/address-pools.ts";
import { type TunnelSlice, tunnelSlices } from "../core/vpn/tunnel-slices.ts";
import { forwarding } from "../packets/host-plan.ts";
import { isSet } from "../packets/host-setup.ts";
import { loadNativeAddon, type NativeAddon } from "../packets/native-addon.ts";
import { deviceFlags, IFF_UP } from "../packets/network-device.ts";
import { DESCRIPTORS_EACH, descriptorLimit } from "./descriptors.ts";
import { currentAddresses } from "./host-addresses.ts";
import { offlineChecks } from "./offline-checks.ts";

const HOST_SETUP = "run tunnel-gateway host-setup as root, with --user naming who runs the gateway";
/** Own choice: what the process needs beside its sessions. */
const OTHER_DESCRIPTORS = 256;
/** Of IFF_VNET_HDR in tun_flags (linux/if_tun.h). */
const IFF_VNET_HDR = 0x4000;
const DNS_TIMEOUT_MS = 2_000;

/** `readiness`: whether this host can serve what the configuration says, before the first start. */
export const readiness: CliCommand = {
  name: "readiness",
  summary: "test whether this host is ready: data path, tunnels, forwarding, ports, limits, DNS",
  options: { config: CONFIG_OPTION },
  async run(call) {
    const local = loadLocalConfiguration({ localConfiguration }, call.required("config"));
    const results = await Promise.all(
      [...hostChecks(local), ...offlineChecks(local)].map(runCheck),
    );
    const isReady = results.every(({ status }) => status !== "unhealthy");
    return {
      text: checkLines(results).join("\n"),
      value: { isReady, checks: results },
      exitCode: isReady ? EXIT_OK : EXIT_FAILED,
    };
  },
};

/** What the host itself has to have. Run as the user who will run the gateway. */
export function hostChecks(local: LocalConfiguration): HealthCheck[] {
  const { vpn } = local;
  const checks: HealthCheck[] = [
    { name: "node", run: nodeHealth },
    { name: "processors", run: processorHealth },
    { name: "dns", run: () => dnsHealth(local.resolver.servers) },
  ];
  return vpn ? [...checks, ...vpnHostChecks(local, vpn)] : checks;
}

function vpnHostChecks(local: LocalConfiguration, vpn: VpnLocalConfiguration): HealthCheck[] {
  const slices = tunnelSlices(vpn);
  const addon = loadNativeAddon();
  return [
    { name: "tun", run: tunHealth },
    ...slices.map((slice) => ({
      name: `tunnel-${slice.device}`,
      run: () => tunnelHealth(slice, addon),
    })),
    { name: "forwarding", run: () => forwardingHealth(forwarding(slices, vpn.nat.interfaces)) },
    { name: "source-addresses", run: () => sourceHealth(vpn, slices) },
    { name: "udp-port", run: () => udpHealth(local, vpn) },
    { name: "descriptors", run: () => descriptorHealth(slices) },
    { name: "kernel", run: () => kernelHealth(release(), vpn.udp) },
  ];
}

function nodeHealth(): CheckResult {
  requireNode();
  return { status: "healthy", reason: `Node ${process.versions.node}` };
}

/** Microsoft Tunnel wants four for a healthy server. */
function processorHealth(): CheckResult {
  const cores = availableParallelism();
  const reason = `${cores} processors`;
  if (cores >= 4) return { status: "healthy", reason };
  return { status: "warning", reason, remedy: "give a gateway for many devices four processors" };
}

function tunHealth(): CheckResult {
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    return { status: "healthy", reason: "/dev/net/tun can be opened" };
  } catch (error) {
    const reason = `/dev/net/tun: ${(error as NodeJS.ErrnoException).code}`;
    const remedy = "load the module tun; give a container --device /dev/net/tun";
    return { status: "unhealthy", reason, remedy };
  }
}

function tunnelHealth(
  { device }: TunnelSlice,
  addon: NativeAddon | { readonly reason: string },
): CheckResult {
  const bad = (reason: string): CheckResult => ({
    status: "unhealthy",
    reason,
    remedy: HOST_SETUP,
  });
  const flags = deviceFlags(device);
  if (flags === undefined) return bad("it does not exist");
  if ((flags & IFF_UP) === 0) return bad("it is down");
  const owner = Number(read(`/sys/class/net/${device}/owner`));
  const user = process.geteuid?.();
  if (owner !== user) return bad(`it belongs to user ${owner}, this is user ${user}`);
  if ((Number(read(`/sys/class/net/${device}/tun_flags`)) & IFF_VNET_HDR) === 0) {
    return bad("it was made without vnet_hdr: delete it first");
  }
  if ("reason" in addon) {
    return { status: "unknown", reason: "there is no data path to open it", remedy: HOST_SETUP };
  }
  const fault = addon.tryTunnel(device);
  if (fault === "") return { status: "healthy", reason: `it is there for user ${user}, and opens` };
  // One process at a time may read it.
  if (fault.startsWith("EBUSY")) return { status: "healthy", reason: "a running gateway has it" };
  return bad(fault);
}

function forwardingHealth(settings: readonly string[]): CheckResult {
  const missing = settings.filter((setting) => !isSet(setting));
  if (missing.length === 0) return { status: "healthy", reason: "packets may pass" };
  return { status: "unhealthy", reason: `${missing.join(", ")} is 0`, remedy: HOST_SETUP };
}

/** Answers to an address that nobody has go nowhere, unless the network routes it here. */
function sourceHealth({ pools }: VpnLocalConfiguration, slices: readonly TunnelSlice[]) {
  const wanted = addressPools(pools, slices).flatMap(translatedTo);
  const own = new Set(currentAddresses().map((cidr) => cidr.split("/")[0]));
  const missing = wanted.filter((address) => !own.has(address));
  if (missing.length === 0) {
    const reason = wanted.length === 0 ? "no pool has one" : `${wanted.join(", ")} are this host's`;
    return { status: "healthy", reason } as const;
  }
  const reason = `${missing.join(", ")}, of vpn.pools, are no addresses of this host`;
  const remedy = "give them to the internal interface, or see that the network routes them here";
  return { status: "warning", reason, remedy } as const;
}

async function udpHealth(
  { listen }: LocalConfiguration,
  { udp }: VpnLocalConfiguration,
): Promise<CheckResult> {
  if (!udp) return { status: "healthy", reason: "vpn.udp is off" };
  const socket = createSocket(listen.address.includes(":") ? "udp6" : "udp4");
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | undefined>();
  socket.once("error", resolve);
  socket.bind({ ...listen, exclusive: true }, () => resolve(undefined));
  const error = await promise;
  socket.close();
  const port = `UDP port ${listen.port}`;
  if (error === undefined) return { status: "healthy", reason: `${port} is free` };
  const remedy =
    "healthy where it is this gateway that runs; else free the port or set listen.port";
  return { status: "warning", reason: `${port}: ${error.code}`, remedy };
}

function descriptorHealth(slices: readonly TunnelSlice[]): CheckResult {
  const limit = descriptorLimit();
  const addresses = slices.reduce((sum, { slots }) => sum + slots, 0);
  const needed = addresses * DESCRIPTORS_EACH + OTHER_DESCRIPTORS;
  const reason = `${limit} descriptors; ${addresses} sessions would take ${needed}`;
  if (limit >= needed) return { status: "healthy", reason };
  const remedy = `raise the limit (LimitNOFILE=${needed}, --ulimit nofile=${needed}) where so many will come`;
  return { status: "warning", reason, remedy };
}

/** Before Linux 6.13 the kernel looks through all connected UDP sockets of a port one by one for each datagram. */
export function kernelHealth(version: string, udp: boolean): CheckResult {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const reason = `Linux ${version}`;
  if (!udp || major > 6 || (major === 6 && minor >= 13)) return { status: "healthy", reason };
  const remedy = "with more than some thousand clients by DTLS, use Linux 6.13 or later";
  return { status: "warning", reason: `${reason} finds one of many UDP clients slowly`, remedy };
}

/** Asks for a name that nobody has (RFC 6761): that there is none is an answer. */
async function dnsHealth(servers: readonly string[] | undefined): Promise<CheckResult> {
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 1 });
  if (servers) resolver.setServers([...servers]);
  const asked = resolver.getServers().join(", ");
  try {
    await resolver.resolve4("readiness.invalid");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTFOUND" && code !== "ENODATA") {
      const remedy =
        "set resolver.servers, or mend the system's name servers; rules by name need them";
      return { status: "warning", reason: `${asked || "no name server"}: ${code}`, remedy };
    }
  }
  return { status: "healthy", reason: `${asked} answers` };
}

function read(file: string): string {
  return readFileSync(file, "utf8").trim();
}
