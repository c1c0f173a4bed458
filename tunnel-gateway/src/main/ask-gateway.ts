import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { CliCall } from "@isthmus/shared/kernel/command";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { localConfiguration } from "../config/local-configuration.ts";

/** Asks the gateway that runs with the configuration of `--config`. @throws ConnectorError `not-running`, or what it answered */
export async function askGateway<Answer>(
  call: CliCall,
  method: string,
  argument?: unknown,
): Promise<Answer> {
  const file = call.required("config");
  const { stateFolder } = loadLocalConfiguration({ localConfiguration }, file);
  const { controlSocket } = stateFolderAt(stateFolder);
  const answered = await askRunningService(controlSocket, method, argument);
  if (!answered) {
    throw new ConnectorError("not-running", `no gateway runs with state folder ${stateFolder}`);
  }
  return answered.result as Answer;
}

/** Asks about the VPN. @throws ConnectorError `vpn-not-served` where the running gateway has none */
export async function askVpn<Answer>(
  call: CliCall,
  method: string,
  argument?: unknown,
): Promise<Answer> {
  try {
    return await askGateway<Answer>(call, method, argument);
  } catch (error) {
    if (codeOf(error) !== "control-unknown") throw error;
    const message = "this gateway serves no VPN: see `vpn-data-path` of its status, or add vpn";
    throw new ConnectorError("vpn-not-served", message, { cause: error });
  }
}
