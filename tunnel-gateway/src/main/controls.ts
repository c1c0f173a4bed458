import type { ControlHandlers } from "@isthmus/shared/kernel/control-socket";
import { z } from "zod";
import type { DeviceStates } from "../core/device-states.ts";
import type { Enforcement } from "../core/enforcement.ts";
import { formatAddress } from "../core/ip-address.ts";
import type { OpenConnections } from "../core/open-connections.ts";
import type { RelayedConnection } from "../core/ports.ts";

/** Own limit on what one answer lists. */
const MAX_LISTED = 5_000;

const cutArgument = z.strictObject({ deviceId: z.string().min(1).max(128) });

/** One open connection, as the command line shows it. */
export interface ListedSession {
  readonly connectionId: string;
  readonly deviceId: string;
  readonly userPrincipalName: string | undefined;
  readonly rule: string;
  readonly destination: string;
  readonly openedAt: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** A list or responder that could not be asked. */
export interface FailedSource {
  readonly anchor: string;
  readonly url: string;
  readonly message: string;
}

/** What the gateway's own subcommands ask of it while it runs. */
export function gatewayControls(options: {
  readonly connections: OpenConnections<RelayedConnection>;
  readonly states: DeviceStates;
  readonly enforcement: Enforcement;
  readonly revocation: {
    readonly failures: readonly FailedSource[];
    refreshFromScratch(): Promise<void>;
  };
  /** Undefined without a VPN. */
  readonly vpnSessions: () => number | undefined;
}): ControlHandlers {
  const { connections, states, enforcement, revocation } = options;
  return {
    async sessions() {
      const listed = connections.all().slice(0, MAX_LISTED).map(session);
      return { total: connections.size, sessions: listed, vpnSessions: options.vpnSessions() };
    },
    async devices() {
      const { directory } = states;
      return { total: directory.size, devices: [...directory.all()].slice(0, MAX_LISTED) };
    },
    async cut(argument) {
      const { deviceId } = cutArgument.parse(argument);
      const message = "cut on the gateway's host";
      const refusal = { code: "cut-by-operator", rule: "control/cut", message } as const;
      return { cut: enforcement.cutDevice(deviceId, refusal) };
    },
    async "refresh-revocation"() {
      await revocation.refreshFromScratch();
      const failures = revocation.failures.map(({ anchor, url, message }) => ({
        anchor,
        url,
        message,
      }));
      return { failures };
    },
  };
}

function session(connection: RelayedConnection): ListedSession {
  const { id, deviceId, userPrincipalName, rule, destination, openedAt } = connection;
  const host = destination.name ?? formatAddress(destination.address);
  const { bytesUp, bytesDown } = connection;
  const where = { rule, destination: `${host}:${destination.port}`, openedAt };
  return { connectionId: id, deviceId, userPrincipalName, ...where, bytesUp, bytesDown };
}
