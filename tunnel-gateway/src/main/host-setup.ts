import { ConnectorError } from "@isthmus/shared/errors";
import type { CliCall, CliCommand } from "@isthmus/shared/kernel/command";
import { loadConfiguration } from "@isthmus/shared/kernel/configuration";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { z } from "zod";
import { vpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import { addressPools } from "../core/vpn/address-pools.ts";
import { tunnelSlices } from "../core/vpn/tunnel-slices.ts";
import { formerSetup } from "../packets/former-setup.ts";
import { hostPlan, removalPlan } from "../packets/host-plan.ts";
import { asScript, carryOut, isSet } from "../packets/host-setup.ts";
import { deviceFlags } from "../packets/network-device.ts";

/** Of the TUN devices; a client's own MTU is smaller and kept by the packet threads. */
export const TUNNEL_MTU = 1_500;

/** All that is read here: keys and secrets belong to the gateway's user, and root in a container may not read them. */
const { shape } = vpnLocalConfiguration;
const needed = z.object({
  vpn: z
    .object({
      network: shape.network,
      ipv6Network: shape.ipv6Network,
      pools: shape.pools,
      tunnels: shape.tunnels,
      nat: shape.nat,
    })
    .optional(),
});

/** `host-setup`: what needs root, once, so that the gateway needs no capability afterwards. */
export const hostSetup: CliCommand = {
  name: "host-setup",
  summary:
    "make tunnels, addresses, forwarding and translation of the VPN (as root, once per boot)",
  options: {
    config: CONFIG_OPTION,
    user: {
      type: "string",
      valueName: "USER",
      summary: "who will run the gateway; name or number",
      default: "1000",
    },
    print: { type: "boolean", summary: "print a shell script instead of doing it" },
    remove: { type: "boolean", summary: "take it all away again" },
  },
  async run(call) {
    const vpn = vpnOf(call);
    const steps = stepsOf(vpn, call);
    if (call.flag("print")) return { text: asScript(steps), value: steps };
    const isRemoval = call.flag("remove");
    const endsForwarding = !isRemoval && endsOthersForwarding(vpn);
    carryOut(steps, (line) => call.note(line));
    const done = isRemoval
      ? "removed; forwarding is left as it is, for others may need it"
      : "the gateway can start now";
    const text = `${steps.length} steps: ${done}${endsForwarding ? OTHERS : ""}`;
    return { text, value: { steps: steps.length, endsOthersForwarding: endsForwarding } };
  },
};

const OTHERS =
  '\nThis host forwarded before, and now for clients of the VPN alone: where it is a router or runs containers, set vpn.nat.otherTraffic to "leave" and run this again.';

type Vpn = NonNullable<z.infer<typeof needed>["vpn"]>;

/** Whether the host forwards already, for others, who are to be held back for the first time. */
function endsOthersForwarding(vpn: Vpn): boolean {
  const isFirst = tunnelSlices(vpn).every(({ device }) => deviceFlags(device) === undefined);
  return isFirst && vpn.nat.otherTraffic === "drop" && isSet("net/ipv4/ip_forward");
}

function vpnOf(call: CliCall): Vpn {
  const { vpn } = loadConfiguration(needed, call.required("config"));
  if (vpn !== undefined) return vpn;
  throw new ConnectorError("vpn-not-configured", "the configuration file has no section vpn");
}

function stepsOf(vpn: Vpn, call: CliCall) {
  const slices = tunnelSlices(vpn);
  const user = call.required("user");
  const former = formerSetup(slices, user);
  if (call.flag("remove")) return [...former, ...removalPlan(slices)];
  const { masquerade, interfaces, otherTraffic } = vpn.nat;
  const pools = addressPools(vpn.pools, slices);
  const nat = { masquerade, interfaces, otherTraffic };
  return [...former, ...hostPlan({ slices, pools, user, mtu: TUNNEL_MTU, ...nat })];
}
