import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { askService } from "@isthmus/shared/kernel/ask-service";
import type { CliCall } from "@isthmus/shared/kernel/command";

/** Asks the running gateway. Throws as `askService` does. */
export async function askGateway<Answer>(
  call: CliCall,
  method: string,
  argument?: unknown,
): Promise<Answer> {
  return (await askService(call, "gateway", method, argument)) as Answer;
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
    const message =
      "this gateway serves no VPN: add `vpn` to its local configuration and restart it; where it is there, see `vpn-data-path` in `status`";
    throw new ConnectorError("vpn-not-served", message, { cause: error });
  }
}
