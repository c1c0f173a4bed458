import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { gatewayAddress, type TunnelSlice } from "../core/vpn/tunnel-slices.ts";
import type { HostStep } from "./host-plan.ts";
import { userNumber } from "./host-setup.ts";
import { readTunDevice, tunDeviceFault } from "./tun-device.ts";

/** Of `ip -o address`: `7: isthmus0    inet 10.98.0.1/17 scope global isthmus0\ ...` */
const ADDRESS = /^\d+: \S+ +inet6? (\S+)/gm;

/**
 * What a former configuration has left on this host, and the routes of it would lead packets of clients astray by: tunnels that there
 * are no more, and addresses that are no tunnel's now.
 */
export function formerSetup(slices: readonly TunnelSlice[], user: string): readonly HostStep[] {
  return [...formerTunnels(slices, user), ...slices.flatMap(formerAddresses)];
}

function formerTunnels(slices: readonly TunnelSlice[], user: string): HostStep[] {
  const own = slices.map(({ device }) => device);
  // The first is number 0; a name may end with digits of its own.
  const name = own[0]?.slice(0, -1) ?? "";
  const numbered = readdirSync("/sys/class/net").filter(
    (device) => device.startsWith(name) && /^\d{1,2}$/.test(device.slice(name.length)),
  );
  return numbered
    .filter((device) => !own.includes(device) && isOurs(device, user))
    .map((device) => ({
      why: `${device} is no tunnel any more`,
      command: ["ip", "link", "delete", device],
      ifDevice: device,
    }));
}

/** Made by host-setup: others' tunnels may be called alike. */
function isOurs(device: string, user: string): boolean {
  try {
    return tunDeviceFault(readTunDevice(device), userNumber(user)) === undefined;
  } catch {
    return false;
  }
}

function formerAddresses({ device, ipv4, ipv6 }: TunnelSlice): HostStep[] {
  const wanted = [ipv4, ipv6].flatMap((network) => (network ? [gatewayAddress(network)] : []));
  const words = ["-o", "address", "show", "dev", device, "scope", "global"];
  const { stdout } = spawnSync("ip", words, { encoding: "utf8" });
  const there = [...(stdout ?? "").matchAll(ADDRESS)].flatMap(([, address]) => address ?? []);
  return there
    .filter((address) => !wanted.includes(address))
    .map((address) => ({
      why: `${address} is no address of ${device} any more`,
      command: ["ip", "address", "delete", address, "dev", device],
      ifDevice: device,
    }));
}
