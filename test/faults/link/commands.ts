import { randomUUID } from "node:crypto";
import type { SignedCommand } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import type { Lab } from "./lab.ts";

export const HOUR_MS = 3_600_000;

/** Resolves when the control plane holds a command to be in a state. */
export function ended(lab: Lab, id: string, state: string): Promise<unknown> {
  return until(async () => (await lab.cloud.commandState(id)) === state, `${id} ${state}`);
}

/** A command that any control plane with the tenant key could sign. */
export function statement(lab: Lab, change: Partial<SignedCommand> = {}): SignedCommand {
  const now = Date.now();
  return {
    id: randomUUID(),
    kind: "health.report",
    seq: 1,
    aud: lab.connectorId,
    actor: "test",
    issuedAt: now,
    notBefore: now - 1_000,
    expiresAt: now + HOUR_MS,
    payload: {},
    supersedes: [],
    approvals: [],
    ...change,
  };
}

/** The connector's inbox in the order of seq. */
export function inbox(lab: Lab) {
  return lab.store.query<{ id: string; state: string }>(
    "SELECT id, state FROM command_inbox ORDER BY seq",
    [],
    100,
  );
}
