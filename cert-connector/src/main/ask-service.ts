import { ConnectorError } from "@isthmus/shared/errors";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { loadLocal } from "./load-local.ts";

/** Asks the service that runs with this configuration. Throws ConnectorError `not-running`, and what it answers. */
export async function ask(configFile: string, method: string, argument: unknown): Promise<unknown> {
  const { controlSocket } = stateFolderAt(loadLocal(configFile).stateFolder);
  const answer = await askRunningService(controlSocket, method, argument);
  if (answer !== undefined) return answer.result;
  throw new ConnectorError("not-running", "the service is not running; start it first");
}
