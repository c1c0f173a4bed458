import { expect, test } from "vitest";
import { tunDeviceFault } from "./tun-device.ts";

/** IFF_TUN, IFF_NO_PI, IFF_PERSIST, IFF_VNET_HDR, as `ip tuntap add` leaves them. */
const MADE = 0x5801;

test("a device that host-setup made for the same user is left as it is", () => {
  expect(tunDeviceFault({ owner: 1000, flags: MADE }, 1000)).toBeUndefined();
});

test.each([
  ["of another user", { owner: 0, flags: MADE }, "belongs to user 0 and not to 1000"],
  ["without vnet_hdr", { owner: 1000, flags: MADE & ~0x4000 }, "without vnet_hdr"],
  ["of a running process", { owner: -1, flags: MADE & ~0x0800 }, "goes with the process"],
])("a device %s is no tunnel for the gateway, and what mends it is said", (_, device, reason) => {
  expect(tunDeviceFault(device, 1000)).toContain(reason);
  expect(tunDeviceFault(device, 1000)).toContain("host-setup again");
});
