import { type CliCommand, EXIT_FAILED } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import type { Device } from "../core/device.ts";
import { askGateway } from "./ask-gateway.ts";
import type { FailedSource, ListedSession } from "./controls.ts";
import { hostSetup } from "./host-setup.ts";
import { importCertificate } from "./import-certificate.ts";
import { readiness } from "./readiness.ts";
import { userCommands } from "./user-commands.ts";
import { vpnCommands } from "./vpn-commands.ts";

interface OpenSessions {
  readonly total: number;
  readonly sessions: readonly ListedSession[];
  /** Undefined without a VPN. */
  readonly vpnSessions?: number;
}

const options = { config: CONFIG_OPTION };

/** The gateway's own subcommands; each asks the running service. */
export const gatewayCli: readonly CliCommand[] = [
  hostSetup,
  readiness,
  importCertificate,
  ...vpnCommands,
  ...userCommands(() => process.stdin),
  {
    name: "sessions",
    summary: "list the relay's open connections, and count the VPN's sessions",
    options,
    async run(call) {
      const value = await askGateway<OpenSessions>(call, "sessions");
      const lines = value.sessions.map((one) =>
        [one.deviceId, one.userPrincipalName ?? "-", one.destination, one.rule].join("\t"),
      );
      const { total, vpnSessions } = value;
      const vpn =
        vpnSessions === undefined ? [] : [`${vpnSessions} sessions of the VPN: see vpn sessions`];
      return { text: [...lines, `${total} relayed connections`, ...vpn].join("\n"), value };
    },
  },
  {
    name: "devices",
    summary: "list the devices that the gateway knows",
    options,
    async run(call) {
      const value = await askGateway<{ total: number; devices: Device[] }>(call, "devices");
      const lines = value.devices.map((one) =>
        [one.deviceId, one.userPrincipalName ?? "-", stateOf(one), one.groups.join(",")].join("\t"),
      );
      return { text: [...lines, `${value.total} known`].join("\n"), value };
    },
  },
  {
    name: "cut",
    summary: "end every open connection of a device now; it may come back while its state allows",
    options,
    positionals: [{ name: "deviceId", summary: "the device" }],
    async run(call) {
      const [deviceId = ""] = call.positionals;
      const value = await askGateway<{ cut: number }>(call, "cut", { deviceId });
      if (value.cut === 0) {
        return { text: `no connection of ${deviceId}`, value, exitCode: EXIT_FAILED };
      }
      return { text: `${value.cut} connections of ${deviceId} ended`, value };
    },
  },
  {
    name: "refresh-revocation",
    summary: "fetch revocation lists and answers now, and end connections of what is revoked",
    options,
    async run(call) {
      const value = await askGateway<{ failures: FailedSource[] }>(call, "refresh-revocation");
      const { failures } = value;
      if (failures.length === 0) return { text: "lists and answers were fetched anew", value };
      const lines = failures.map(({ anchor, url, message }) => `${anchor}: ${url}: ${message}`);
      return { text: lines.join("\n"), value, exitCode: EXIT_FAILED };
    },
  },
];

function stateOf(device: Device): string {
  return device.removed ? "removed" : device.compliance;
}
