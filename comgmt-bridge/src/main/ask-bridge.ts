import { askService } from "@isthmus/shared/kernel/ask-service";
import type { CliCall } from "@isthmus/shared/kernel/command";

/** Asks the running bridge. Throws as `askService` does. */
export async function askBridge<Answer>(
  call: CliCall,
  method: string,
  argument?: unknown,
): Promise<Answer> {
  return (await askService(call, "bridge", method, argument)) as Answer;
}
