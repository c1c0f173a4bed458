import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { SignedCommand } from "@isthmus/shared/link/messages";
import type { UnsignedConfiguration } from "./admin-records.ts";
import type { UnsignedCommand } from "./connector-records.ts";
import type { CommandWakeUp, Records, Signer } from "./ports.ts";

/** Statements signed in one round; what is left over has the next one at once. */
export const MAX_PER_ROUND = 100;

/**
 * One round between the store, where commands and configurations wait unsigned, and the signer. Each was put there in the
 * transaction of what it is about, so a crash anywhere loses nothing: the next round takes up what is still unsigned, with
 * the same words and hence the same signature.
 *
 * @returns whether there may be more. Throws a retryable error while the signer is away.
 */
export async function signQueued(of: {
  readonly records: Records;
  readonly signer: Signer;
  readonly wakeUp: CommandWakeUp;
  readonly clock: Clock;
}): Promise<{ readonly isMore: boolean; readonly refused: readonly RefusedStatement[] }> {
  await of.records.run("feedGateways", { now: of.clock.now() });
  const commands = await of.records.run("takeUnsignedCommands", { limit: MAX_PER_ROUND });
  const queues = Object.values(Object.groupBy(commands, ({ connectorId }) => connectorId));
  const outcomes = (await Promise.all(queues.map((queue) => signQueue(of, queue ?? [])))).flat();
  wakeEach(of.wakeUp, commands);
  const configurations = await of.records.run("takeUnsignedConfigurations", {
    limit: MAX_PER_ROUND,
  });
  await Promise.all(configurations.map((configuration) => signConfiguration(of, configuration)));
  wakeEach(of.wakeUp, configurations);
  const isFull = Math.max(commands.length, configurations.length) === MAX_PER_ROUND;
  return {
    isMore: isFull || outcomes.includes("renumbered"),
    refused: outcomes.filter((outcome) => typeof outcome === "object"),
  };
}

/** A command that the signer will not sign, ended as `refused`. */
export interface RefusedStatement {
  readonly id: string;
  readonly code: string;
}

type Parts = Parameters<typeof signQueued>[0];

type Outcome = "signed" | "renumbered" | RefusedStatement;

/**
 * Signs what waits for one connector: the lowest seq alone first. Where another command was signed with that before (the store
 * is from a backup), the whole queue is given later seqs, in its order; where it was not, none after it was either.
 */
async function signQueue(of: Parts, queue: readonly UnsignedCommand[]): Promise<Outcome[]> {
  const [first, ...rest] = queue.toSorted((a, b) => a.seq - b.seq);
  if (first === undefined) return [];
  const outcome = await signCommand(of, first);
  if (outcome === "renumbered") return [outcome];
  return [outcome, ...(await Promise.all(rest.map((command) => signCommand(of, command))))];
}

/** What the signer refuses ends as `refused`, so that it holds nothing up. */
async function signCommand(
  { records, signer, clock }: Parts,
  command: UnsignedCommand,
): Promise<Outcome> {
  const { id, connectorId } = command;
  try {
    const jws = await signer.signCommand(statementOf(command));
    await records.run("storeCommandSignature", { id, jws });
    return "signed";
  } catch (error) {
    if (!(error instanceof ConnectorError) || error.isRetryable) throw error;
    const { code, message } = error;
    if (code === "sequence-conflict") {
      await records.run("renumberCommands", { connectorId });
      return "renumbered";
    }
    await records.run("refuseUnsignedCommand", { id, error: { code, message }, now: clock.now() });
    return { id, code };
  }
}

function statementOf({ connectorId, ...command }: UnsignedCommand): SignedCommand {
  return {
    ...command,
    aud: connectorId,
    supersedes: [...command.supersedes],
    approvals: [...command.approvals],
  };
}

/**
 * A version that was signed with other words before (the store is from a backup) gets the next number, so that connectors
 * that have the other one take it.
 */
async function signConfiguration(
  { records, signer }: Parts,
  { connectorId, ...configuration }: UnsignedConfiguration,
): Promise<void> {
  const { version } = configuration;
  try {
    const jws = await signer.signConfiguration({ ...configuration, aud: connectorId });
    await records.run("storeConfigurationSignature", { connectorId, version, jws });
  } catch (error) {
    if (!(error instanceof RefusalError) || error.code !== "sequence-conflict") throw error;
    await records.run("renumberConfiguration", { connectorId, version });
  }
}

function wakeEach(wakeUp: CommandWakeUp, of: readonly { readonly connectorId: string }[]): void {
  for (const connectorId of new Set(of.map((each) => each.connectorId))) wakeUp.wake(connectorId);
}
