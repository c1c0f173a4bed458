import type { AccessLines } from "../core/access-log.ts";
import type { Cut } from "../core/enforcement.ts";
import { formatAddress } from "../core/ip-address.ts";
import type { RelayedConnection, RelayObserver } from "../core/ports.ts";
import type { Refusal, RefusalCode } from "../core/refusal.ts";
import type { RelaySessions } from "../core/relay-sessions.ts";
import type { GatewayKernel } from "./gateway-kernel.ts";
import type { RelayMetrics } from "./relay-metrics.ts";

/** Own limit: cuts that one audit entry names, so that it stays within the audit's 16 KiB. */
const CUTS_PER_ENTRY = 25;
/** What is refused for where it goes. */
const OF_PLACES: ReadonlySet<RefusalCode> = new Set([
  "policy-denied",
  "guardrail-destination",
  "egress-forbidden",
]);

/** Writes the access log, counts, and tells of sessions. */
export function relayObserver(options: {
  readonly log: AccessLines;
  readonly metrics: RelayMetrics;
  readonly sessions: RelaySessions;
}): RelayObserver {
  const { log, metrics, sessions } = options;
  const destinationOf = (connection: RelayedConnection) => {
    const { name, address, port } = connection.destination;
    return `${name ?? formatAddress(address)}:${port}`;
  };
  return {
    opened(connection, connectMs) {
      metrics.opened.inc();
      sessions.opened(connection);
      metrics.connectSeconds.observe(connectMs / 1_000);
      const { id, deviceId, userPrincipalName, rule } = connection;
      const who = { connectionId: id, deviceId, userPrincipalName, rule };
      log.info({ ...who, destination: destinationOf(connection) }, "relay.opened");
    },
    closed(connection, end, refusal) {
      const { id, deviceId, userPrincipalName, rule, bytesUp, bytesDown, openedAt } = connection;
      metrics.closed.inc({ end });
      sessions.closed(connection);
      metrics.bytes.inc({ direction: "up" }, bytesUp);
      metrics.bytes.inc({ direction: "down" }, bytesDown);
      const who = { connectionId: id, deviceId, userPrincipalName, rule, openedAt };
      const how = { end, bytesUp, bytesDown, ...(refusal ? { cut: whyCut(refusal) } : {}) };
      log.info({ ...who, ...how, destination: destinationOf(connection) }, "relay.closed");
    },
    refused({ code, rule, deviceId, userPrincipalName, destination, cause }) {
      metrics.refused.inc({ code });
      const entry = { code, rule, deviceId, userPrincipalName, destination };
      if (cause === undefined) log.info(entry, "relay.refused");
      else log.error({ ...entry, err: cause }, "relay.failed");
    },
  };
}

/** The words for people name the place where that is what is refused; `destination` says it, where it may be said. */
function whyCut({ code, rule, message }: Refusal) {
  return { code, by: rule, ...(OF_PLACES.has(code) ? {} : { message }) };
}

/**
 * Counts cuts of relayed connections and writes them to the audit; they are already gone when the audit is written. Sessions
 * of the VPN have their own observer.
 */
export function cutRecorder(kernel: GatewayKernel, metrics: RelayMetrics) {
  return (all: readonly Cut[]): void => {
    const cuts = all.filter(({ connection }) => connection.kind === "relay");
    const at = kernel.clock.now();
    for (const { refusal } of cuts) metrics.cut.inc({ code: refusal.code });
    for (let first = 0; first < cuts.length; first += CUTS_PER_ENTRY) {
      const payload = { cuts: cuts.slice(first, first + CUTS_PER_ENTRY).map(described) };
      kernel.store
        .run("recordAudit", { at, event: "relay.cut", payload })
        .catch((error: unknown) => kernel.log.error({ err: error }, "audit.failed"));
    }
  };
}

function described({ connection, refusal }: Cut) {
  const { id, deviceId, certificate } = connection;
  const { code, rule } = refusal;
  return { connectionId: id, deviceId, serialNumber: certificate?.serialNumber, code, rule };
}
