import type { Logger } from "pino";
import type { Clock } from "../clock.ts";
import { ConnectorError, codeOf, RefusalError } from "../errors.ts";
import type { InventoryMessage, LinkEvent, LinkHooks } from "../link/link-hooks.ts";
import type { HealthSnapshot, Service, SignedAuditHead, SignedCommand } from "../link/messages.ts";
import type { Store } from "../store/store.ts";
import type { AuditKeeper } from "./audit-keeper.ts";
import { type CommandGuard, payloadOf } from "./command-guard.ts";
import type { DesiredConfiguration } from "./desired-configuration.ts";
import type { KernelOperations } from "./kernel-operations.ts";
import type { CommandContext, CommandHandler, Reconciliation } from "./service-definition.ts";
import type { Trust } from "./trust.ts";

/** Rejected statements that are put into the audit journal per hour; beyond that a peer would fill the disk. */
const MAX_AUDITED_REJECTIONS_PER_HOUR = 100;
const HOUR_MS = 3_600_000;

interface HooksOptions<Desired> {
  readonly store: Store<KernelOperations>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly service: Service;
  readonly guard: CommandGuard;
  // biome-ignore lint/suspicious/noExplicitAny: handlers of differently typed payloads
  readonly handlers: Readonly<Record<string, CommandHandler<any>>>;
  readonly desired: DesiredConfiguration<Desired>;
  readonly trust: Trust;
  readonly audit: AuditKeeper;
  readonly snapshot: () => Promise<HealthSnapshot>;
  /** Says that the audit stream has new entries. */
  readonly wakeAudit: () => void;
  readonly onInventory?: ((message: InventoryMessage) => void) | undefined;
}

/** What the link asks of a connector: guardrails before a command, the service to run it, and the journal for all of it. */
export function connectorHooks<Desired>(options: HooksOptions<Desired>): LinkHooks {
  const { desired, trust, audit, guard, handlers } = options;
  const record = async (event: string, payload: Readonly<Record<string, unknown>>) => {
    await options.store.run("recordAudit", { at: options.clock.now(), event, payload });
    options.wakeAudit();
  };
  const handlerOf = (command: SignedCommand) => {
    const handler = handlers[command.kind];
    if (handler !== undefined) return handler;
    throw new ConnectorError("command-unknown", `no command of kind ${command.kind}`);
  };
  return {
    async judge(command, approvedAt) {
      try {
        const verdict = await guard.judge(command, approvedAt !== undefined);
        if (verdict === "await-approval") await record("command.awaiting-approval", about(command));
        return verdict;
      } catch (error) {
        await record("command.refused", { ...about(command), ...reasonOf(error) });
        throw error;
      }
    },
    waitOf(command) {
      const awaited = guard.awaitedBy(command);
      if (awaited === undefined) return undefined;
      const words = `\`${options.service} approve ${command.id} --config ...\``;
      return {
        code: "awaiting-approval",
        message: `a second person has to approve it on the connector's host: ${words}`,
        rule: awaited.rule,
      };
    },
    async run(command, signal, approvedAt) {
      const handler = handlerOf(command);
      await record("command.started", about(command));
      try {
        const context = { ...(await contextOf(guard, command, approvedAt)), signal };
        const result = await handler.run(payloadOf(command, handler), context);
        await record("command.succeeded", about(command));
        return result;
      } catch (error) {
        const event = error instanceof RefusalError ? "command.refused" : "command.failed";
        await record(event, { ...about(command), ...reasonOf(error) });
        throw error;
      }
    },
    async reconcile(command, approvedAt) {
      const context = await contextOf(guard, command, approvedAt);
      const found = await reconcile(handlers[command.kind], command, context);
      await record("command.reconciled", { ...about(command), found });
      return found;
    },
    configurationVersion: () => desired.version,
    async onConfiguration({ version, configuration }, jws) {
      const outcome = await desired.offer({ version, configuration, document: jws });
      if (outcome.state === "applied") return;
      throw new ConnectorError(outcome.error.code, outcome.error.message);
    },
    async onTrust(_statement, jws) {
      try {
        const key = await trust.rotate(jws);
        if (key !== undefined) await record("trust.rotated", { x: key.x });
      } catch (error) {
        await record("trust.refused", reasonOf(error));
        throw error;
      }
    },
    onCountersigned: (head: SignedAuditHead, jws) => audit.countersigned(head, jws),
    auditHead() {
      // What the service has recorded since the last minute goes up with the head.
      options.wakeAudit();
      return options.store.run("auditHead");
    },
    health: options.snapshot,
    ...(options.onInventory !== undefined && { onInventory: options.onInventory }),
    onEvent: eventRecorder(options, record),
  };
}

/** What the journal says of a command. The payload is in the inbox, and may hold personal data. */
function about({ id, kind, actor, seq }: SignedCommand): Readonly<Record<string, unknown>> {
  return { id, kind, actor, seq };
}

function reasonOf(error: unknown): Readonly<Record<string, unknown>> {
  const code = codeOf(error);
  return error instanceof RefusalError ? { code, rule: error.rule } : { code };
}

/** Without a way to ask, a command that repeats without harm is run again; the service says so by having no `reconcile`. */
async function reconcile(
  // biome-ignore lint/suspicious/noExplicitAny: handlers of differently typed payloads
  handler: CommandHandler<any> | undefined,
  command: SignedCommand,
  context: Omit<CommandContext, "signal">,
): Promise<Reconciliation> {
  if (handler === undefined) return "unknown";
  if (handler.reconcile === undefined) return "not-run";
  return await handler.reconcile(payloadOf(command, handler), context);
}

async function contextOf(
  guard: CommandGuard,
  command: SignedCommand,
  approvedAt: number | undefined,
): Promise<Omit<CommandContext, "signal">> {
  const { id, actor, expiresAt } = command;
  const consent = await guard.consentTo(command, approvedAt !== undefined);
  return { id, actor, expiresAt, consent };
}

function eventRecorder<Desired>(
  { log, clock }: HooksOptions<Desired>,
  record: (event: string, payload: Readonly<Record<string, unknown>>) => Promise<void>,
) {
  let hourEndsAt = 0;
  let audited = 0;
  const mayAudit = () => {
    if (clock.now() >= hourEndsAt) {
      hourEndsAt = clock.now() + HOUR_MS;
      audited = 0;
    }
    audited += 1;
    return audited <= MAX_AUDITED_REJECTIONS_PER_HOUR;
  };
  return (happened: LinkEvent): void => {
    const { event, ...payload } = happened;
    log.info(payload, event);
    if (event === "link.connected" || event === "link.lost" || !mayAudit()) return;
    record(event, payload).catch((error: unknown) => {
      log.error({ err: error }, "audit.failed");
    });
  };
}
