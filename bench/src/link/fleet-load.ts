import { setMaxListeners } from "node:events";
import { answerWith } from "../process/answering.ts";
import { FleetConnector, type FleetTarget, REPORT_INTERVAL_MS } from "./fleet-connector.ts";
import { Turnstile } from "./turnstile.ts";

/** A share of the connectors of the link bench, in a process of its own. */

/** What the control plane has to know of a connector before it may connect. */
export interface FleetIdentity {
  readonly connectorId: string;
  readonly publicKeyX: string;
}

export interface FleetStanding {
  readonly connected: number;
  readonly refusal: string | undefined;
}

const REPORT_STEP_MS = 100;
/**
 * Connectors of this process on their way at once. Each has a machine of its own in life; here they share one event loop,
 * in which thousands of handshakes at once would all outlast the connector's time limit.
 */
const MAX_CONNECTING = 400;

let fleet: readonly FleetConnector[] = [];
let stopping = new AbortController();

const handlers = {
  /** Makes connectors with a key each. */
  make: async ({ count }: { count: number }): Promise<FleetIdentity[]> => {
    fleet = Array.from({ length: count }, () => new FleetConnector());
    return fleet.map(({ connectorId, publicKeyX }) => ({ connectorId, publicKeyX }));
  },

  /** Lets all of them connect and stay connected. */
  start: async (target: FleetTarget): Promise<void> => {
    stopping = new AbortController();
    setMaxListeners(0, stopping.signal);
    const turnstile = new Turnstile(MAX_CONNECTING);
    for (const connector of fleet) void connector.run(target, turnstile, stopping.signal);
    reportInTurn(stopping.signal);
  },

  /** How many are welcome at the control plane now, and its word to one that is not. */
  standing: async (_: null): Promise<FleetStanding> => ({
    connected: fleet.filter(({ isWelcome }) => isWelcome).length,
    refusal: fleet.find(({ isWelcome, refusal }) => !isWelcome && refusal)?.refusal,
  }),

  stop: async (_: null): Promise<void> => stopping.abort(),
};
export type FleetLoadProgram = typeof handlers;
answerWith(handlers);

/** Spreads the reports of all connectors evenly over the interval. */
function reportInTurn(signal: AbortSignal): void {
  const steps = REPORT_INTERVAL_MS / REPORT_STEP_MS;
  let step = 0;
  const timer = setInterval(() => {
    const turn = step++ % steps;
    for (let index = turn; index < fleet.length; index += steps) fleet[index]?.report();
  }, REPORT_STEP_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}
