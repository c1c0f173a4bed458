import { runCommand } from "./child-service.ts";
import type { GraphClient } from "./graph-client.ts";

/** A service that is configured and not enrolled yet. */
export interface NewConnector {
  readonly service: string;
  /** As the control plane lists it. */
  readonly name: string;
  /** Absolute path of its main.ts. */
  readonly entry: string;
  readonly configFile: string;
}

/** Enrols it as an administrator would, with a token of the API and its own command. Answers the connector's id. */
export async function enrolConnector(graph: GraphClient, of: NewConnector): Promise<string> {
  const { service, name, entry, configFile } = of;
  const order = { service, displayName: name };
  const { token } = await graph.post<{ token: string }>("/enrolmentTokens", order);
  const words = ["enrol", "--config", configFile, "--name", name, "--token-file", "-", "--json"];
  const answer = JSON.parse(await runCommand(entry, words, token)) as { connectorId: string };
  return answer.connectorId;
}
