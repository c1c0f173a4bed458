import { ConnectorError } from "../errors.ts";
import type { CliCall } from "./command.ts";
import { askRunningService } from "./control-socket.ts";
import { loadStateFolder } from "./local-configuration.ts";
import { stateFolderAt } from "./state-folder.ts";

/**
 * Asks the service that runs with the configuration of `--config`; `what` is what a person calls it. Throws ConnectorError `not-running`, and
 * what it answers.
 */
export async function askService(
  call: CliCall,
  what: string,
  method: string,
  argument?: unknown,
): Promise<unknown> {
  const stateFolder = loadStateFolder(call.required("config"));
  const { controlSocket } = stateFolderAt(stateFolder);
  const answered = await askRunningService(controlSocket, method, argument);
  if (answered !== undefined) return answered.result;
  throw new ConnectorError("not-running", `no ${what} runs with state folder ${stateFolder}`);
}
