import { readFileSync } from "node:fs";

/** Of tun_flags (linux/if_tun.h). */
const IFF_PERSIST = 0x0800;
const IFF_VNET_HDR = 0x4000;

/** What the kernel says of a TUN device. */
export interface TunDevice {
  /** Number of the user who may open it; -1 is everyone with CAP_NET_ADMIN. */
  readonly owner: number;
  readonly flags: number;
}

/** A TUN device of this host. */
export function readTunDevice(device: string): TunDevice {
  const read = (file: string) => Number(readFileSync(`/sys/class/net/${device}/${file}`, "utf8"));
  return { owner: read("owner"), flags: read("tun_flags") };
}

/** Why a device that is already there does not serve a gateway of `user`, and what mends that. */
export function tunDeviceFault({ owner, flags }: TunDevice, user: number): string | undefined {
  const again = "take it away with host-setup --remove, and run host-setup again";
  if ((flags & IFF_PERSIST) === 0) {
    return "it goes with the process that made it: stop the gateway that runs as root, and run host-setup again";
  }
  if (owner !== user) return `it belongs to user ${owner} and not to ${user}: ${again}`;
  return (flags & IFF_VNET_HDR) === 0 ? `it was made without vnet_hdr: ${again}` : undefined;
}
