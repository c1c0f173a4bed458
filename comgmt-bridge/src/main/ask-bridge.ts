import { ConnectorError } from "@isthmus/shared/errors";
import type { CliCall } from "@isthmus/shared/kernel/command";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { localConfiguration } from "../config/bridge-configuration.ts";

/** Asks the bridge that runs with the configuration of `--config`. @throws ConnectorError `not-running`, or what it answered */
export async function askBridge<Answer>(
  call: CliCall,
  method: string,
  argument?: unknown,
): Promise<Answer> {
  const file = call.required("config");
  const { stateFolder } = loadLocalConfiguration({ localConfiguration }, file);
  const { controlSocket } = stateFolderAt(stateFolder);
  const answered = await askRunningService(controlSocket, method, argument);
  if (answered !== undefined) return answered.result as Answer;
  throw new ConnectorError("not-running", `no bridge runs with state folder ${stateFolder}`);
}
