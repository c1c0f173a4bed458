import { SERVICES } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import type { Suite } from "./suite.ts";

const WITHIN_MS = 30_000;

interface ListedConnector {
  readonly displayName: string;
  readonly isConnected: boolean;
  readonly configurationVersion: number;
  readonly configurationVersionApplied: number;
  readonly configurationError: string | null;
}

interface ListedCommand {
  readonly kind: string;
  readonly state: string;
}

/** Resolves once every connector is connected, has its desired configuration in force and has run what was queued. */
export async function settled(suite: Suite): Promise<void> {
  const graph = await suite.graph();
  await until(
    async () => {
      const connectors = await graph.list<ListedConnector>("/connectors");
      refuseFaulty(connectors);
      const commands = await graph.list<ListedCommand>("/commands");
      return (
        connectors.length === SERVICES.length &&
        connectors.every(isUpToDate) &&
        commands.some(({ kind }) => kind === "devices.update") &&
        commands.every(({ state }) => state === "succeeded")
      );
    },
    "three connectors connected and configured",
    WITHIN_MS,
  );
}

function isUpToDate(connector: ListedConnector): boolean {
  return (
    connector.isConnected &&
    connector.configurationVersionApplied === connector.configurationVersion
  );
}

function refuseFaulty(connectors: readonly ListedConnector[]): void {
  const faulty = connectors.find(({ configurationError }) => configurationError !== null);
  if (faulty === undefined) return;
  throw new Error(`${faulty.displayName} refuses its configuration: ${faulty.configurationError}`);
}
