import { askService } from "@isthmus/shared/kernel/ask-service";
import type { CliCall } from "@isthmus/shared/kernel/command";
import { localConfiguration } from "../config/bridge-configuration.ts";

/** Asks the running bridge. Throws as `askService` does. */
export async function askBridge<Answer>(
  call: CliCall,
  method: string,
  argument?: unknown,
): Promise<Answer> {
  const definition = { localConfiguration, what: "bridge" };
  return (await askService(call, definition, method, argument)) as Answer;
}
