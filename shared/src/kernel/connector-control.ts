import { z } from "zod";
import { ConnectorError } from "../errors.ts";
import type { ConnectorLink } from "../link/connector-link.ts";
import type { HealthSnapshot } from "../link/messages.ts";
import type { Store } from "../store/store.ts";
import { eraseRecorded } from "./audit-erasure.ts";
import { verifyAudit } from "./audit-verification.ts";
import type { ConnectorOperations } from "./connector-operations.ts";
import type { ControlHandlers } from "./control-socket.ts";
import type { Trust } from "./trust.ts";

/** What `status` shows of a running connector. */
export interface ConnectorStatus {
  readonly pid: number;
  readonly mode: "cloud" | "standalone";
  readonly connectorId: string;
  readonly configurationVersion: number;
  readonly guardrails: string;
  readonly health: HealthSnapshot;
  readonly listeners: Readonly<Record<string, string>>;
  readonly link?: {
    readonly connected: boolean;
    readonly lastContactAt?: number;
    readonly clockOffsetMs?: number;
    readonly lastError?: { readonly code: string; readonly message: string };
  };
  readonly awaitingApproval: readonly WaitingCommand[];
}

/** A command that waits for `approve` or `deny`. */
export interface WaitingCommand {
  readonly id: string;
  readonly kind: string;
  readonly actor: string;
  readonly expiresAt: number;
  readonly payload: unknown;
}

const eraseArgument = z.object({ before: z.number() });
const approveArgument = z.object({ id: z.string().min(1).max(128) });
/** Why somebody says no; who asked reads it. */
export const MAX_DENIAL_LENGTH = 500;
const denyArgument = approveArgument.extend({ reason: z.string().min(1).max(MAX_DENIAL_LENGTH) });

/** What the control socket of a running connector answers: `status`, `awaiting`, `approve`, `deny`, `verify-audit`, `erase-audit`. */
export function connectorControl(of: {
  readonly store: Store<ConnectorOperations>;
  readonly trust: Trust;
  readonly connectorId: string;
  readonly link: ConnectorLink | undefined;
  readonly status: () => Promise<Omit<ConnectorStatus, "awaitingApproval" | "link">>;
  readonly record: (event: string, payload: Readonly<Record<string, unknown>>) => Promise<void>;
}): ControlHandlers {
  const { store, trust, connectorId, link } = of;
  return {
    status: async () => ({
      ...(await of.status()),
      ...(link && { link: link.state() }),
      awaitingApproval: waiting(link),
    }),
    awaiting: async () => waiting(link),
    async approve(argument) {
      const { id } = approveArgument.parse(argument);
      await linkOf(link).approve(id);
      await of.record("command.approved-locally", { id });
      return { id };
    },
    async deny(argument) {
      const { id, reason } = denyArgument.parse(argument);
      await linkOf(link).deny(id, reason);
      await of.record("command.denied-locally", { id, reason });
      return { id };
    },
    async "erase-audit"(argument) {
      const { before } = eraseArgument.parse(argument);
      return { erased: await eraseRecorded(store, before) };
    },
    "verify-audit": () => verifyAudit(store, trust.ever(), connectorId),
  };
}

function linkOf(link: ConnectorLink | undefined): ConnectorLink {
  if (link !== undefined) return link;
  throw new ConnectorError("command-not-open", "a standalone connector has no commands");
}

function waiting(link: ConnectorLink | undefined): WaitingCommand[] {
  return (link?.awaitingApproval() ?? []).map(({ id, kind, actor, expiresAt, payload }) => ({
    id,
    kind,
    actor,
    expiresAt,
    payload,
  }));
}
