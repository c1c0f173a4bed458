import { ConnectorError } from "@isthmus/shared/errors";
import { type CliCall, type CliCommand, EXIT_FAILED } from "@isthmus/shared/kernel/command";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { CONFIG_OPTION, loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { localConfiguration } from "../config/local-configuration.ts";
import type { Device } from "../core/device.ts";
import type { FailedSource, ListedSession } from "./controls.ts";
import { hostSetup } from "./host-setup.ts";

const options = { config: CONFIG_OPTION };

/** The gateway's own subcommands; each asks the running service. */
export const gatewayCli: readonly CliCommand[] = [
  hostSetup,
  {
    name: "sessions",
    summary: "list the open connections of devices",
    options,
    async run(call) {
      const value = await ask<{ total: number; sessions: ListedSession[] }>(call, "sessions");
      const lines = value.sessions.map((one) =>
        [one.deviceId, one.userPrincipalName ?? "-", one.destination, one.rule].join("\t"),
      );
      return { text: [...lines, `${value.total} open`].join("\n"), value };
    },
  },
  {
    name: "devices",
    summary: "list the devices that the gateway knows",
    options,
    async run(call) {
      const value = await ask<{ total: number; devices: Device[] }>(call, "devices");
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
      const value = await ask<{ cut: number }>(call, "cut", { deviceId });
      return { text: `${value.cut} connections of ${deviceId} ended`, value };
    },
  },
  {
    name: "refresh-revocation",
    summary: "fetch revocation lists and answers now, and end connections of what is revoked",
    options,
    async run(call) {
      const value = await ask<{ failures: FailedSource[] }>(call, "refresh-revocation");
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

async function ask<Answer>(call: CliCall, method: string, argument?: unknown): Promise<Answer> {
  const file = call.required("config");
  const { stateFolder } = loadLocalConfiguration({ localConfiguration }, file);
  const answered = await askRunningService(
    stateFolderAt(stateFolder).controlSocket,
    method,
    argument,
  );
  if (!answered) {
    throw new ConnectorError("not-running", `no gateway runs with state folder ${stateFolder}`);
  }
  return answered.result as Answer;
}
