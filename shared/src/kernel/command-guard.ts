import type { Clock } from "../clock.ts";
import { RefusalError } from "../errors.ts";
import type { SignedCommand } from "../link/messages.ts";
import { approversOf } from "./approvals.ts";
import { faultsOf } from "./configuration.ts";
import type { CommonGuardrails } from "./guardrails-file.ts";
import {
  type ApprovalRule,
  type CommandHandler,
  type Consent,
  isConsented,
  type Limits,
  type WindowLimit,
} from "./service-definition.ts";

/** Windows in force for kinds that the guardrails do not name. */
const DEFAULT_LIMITS: ReadonlyMap<string, WindowLimit> = new Map([
  ["certificate.revoke", { max: 50, perMinutes: 60 }],
  ["certificate-revocations", { max: 50, perMinutes: 60 }],
  ["certificate-issuance", { max: 10_000, perMinutes: 60 }],
  ["session-cuts", { max: 1_000, perMinutes: 60 }],
  ["site-devices-notified", { max: 1_000, perMinutes: 60 }],
  ["site-devices-restarted", { max: 10, perMinutes: 60 }],
  ["site-devices-scripted", { max: 100, perMinutes: 60 }],
  ["site-devices-queried", { max: 1_000, perMinutes: 60 }],
  ["site-devices-installed", { max: 100, perMinutes: 60 }],
  ["site-devices-described", { max: 1_000, perMinutes: 60 }],
  ["site-recovery-keys", { max: 10, perMinutes: 60 }],
]);
const DEFAULT_LIMIT: WindowLimit = { max: 600, perMinutes: 10 };

/** The sliding window of a kind: the guardrails', or the kernel's default. */
export function windowOf(guardrails: CommonGuardrails, kind: string): WindowLimit {
  const own = Object.hasOwn(guardrails.commands.limits, kind);
  if (own) return guardrails.commands.limits[kind] ?? DEFAULT_LIMIT;
  return DEFAULT_LIMITS.get(kind) ?? DEFAULT_LIMIT;
}

/** `await-approval`: nothing speaks against the command but that a second person has yet to approve it. */
export type Verdict = "run" | "await-approval";

/** Decides over each command before its intent is stored. The cloud's signature alone is never enough. */
export class CommandGuard {
  readonly #guardrails: CommonGuardrails;
  // biome-ignore lint/suspicious/noExplicitAny: handlers of differently typed payloads
  readonly #handlers: Readonly<Record<string, CommandHandler<any>>>;
  readonly #limits: Limits;
  readonly #clock: Clock;
  /** By what rule a command waits. */
  readonly #awaited = new WeakMap<SignedCommand, ApprovalRule>();

  constructor(options: {
    readonly guardrails: CommonGuardrails;
    // biome-ignore lint/suspicious/noExplicitAny: handlers of differently typed payloads
    readonly handlers: Readonly<Record<string, CommandHandler<any>>>;
    readonly limits: Limits;
    readonly clock: Clock;
  }) {
    this.#guardrails = options.guardrails;
    this.#handlers = options.handlers;
    this.#limits = options.limits;
    this.#clock = options.clock;
  }

  /**
   * Whether a verified command may run now. `isApprovedLocally` says that somebody ran `approve` for it on this host.
   *
   * @throws RefusalError with the rule: `guardrails.commands.allow`, `guardrails.commands.approval.<kind>`,
   * `guardrails.commands.limits.<kind>`, `payload.<kind>`, or a rule of the service.
   */
  async judge(command: SignedCommand, isApprovedLocally: boolean): Promise<Verdict> {
    const { kind } = command;
    if (!this.#guardrails.commands.allow.includes(kind)) {
      throw new RefusalError(
        "command-not-allowed",
        "guardrails.commands.allow",
        `commands of kind ${kind} are not allowed here`,
      );
    }
    const handler = Object.hasOwn(this.#handlers, kind) ? this.#handlers[kind] : undefined;
    if (handler === undefined) {
      throw new RefusalError("command-unknown", "service.commands", `no command of kind ${kind}`);
    }
    const payload = payloadOf(command, handler);
    await handler.judge?.(payload);
    const rules = [this.#ruleOf(kind), await handler.approval?.(payload)];
    for (const rule of rules) {
      if (rule === undefined) continue;
      if (await this.#isApproved(command, rule, isApprovedLocally)) continue;
      this.#awaited.set(command, rule);
      return "await-approval";
    }
    await this.#limits.consume(kind);
    return "run";
  }

  /** Who has consented to a command. */
  async consentTo(command: SignedCommand, isApprovedLocally: boolean): Promise<Consent> {
    const signed = await approversOf(command, this.#guardrails.approvers, this.#clock);
    return { isLocal: isApprovedLocally, signatures: signed.size };
  }

  /** The rule by which a command was last told to wait for approval, with its name. */
  awaitedBy(command: SignedCommand): Required<ApprovalRule> | undefined {
    const rule = this.#awaited.get(command);
    return rule && { ...rule, rule: ruleName(rule, command) };
  }

  #ruleOf(kind: string): ApprovalRule | undefined {
    const { approval } = this.#guardrails.commands;
    return Object.hasOwn(approval, kind) ? approval[kind] : undefined;
  }

  async #isApproved(
    command: SignedCommand,
    rule: ApprovalRule,
    isApprovedLocally: boolean,
  ): Promise<boolean> {
    const consent = await this.consentTo(command, isApprovedLocally);
    if (isConsented(rule, consent)) return true;
    if (rule.local) return false;
    throw new RefusalError(
      "approval-missing",
      ruleName(rule, command),
      `${command.kind} needs ${rule.signatures} signatures of listed approvers, ${consent.signatures} are valid`,
    );
  }
}

function ruleName({ rule }: ApprovalRule, { kind }: SignedCommand): string {
  return rule ?? `guardrails.commands.approval.${kind}`;
}

/** The payload as the service's schema reads it. @throws RefusalError `payload-invalid` */
export function payloadOf<Payload>(
  command: SignedCommand,
  handler: CommandHandler<Payload>,
): Payload {
  const result = handler.payload.safeParse(command.payload);
  if (result.success) return result.data;
  const faults = faultsOf(result.error, command.payload, handler.payload).slice(0, 5).join("; ");
  throw new RefusalError("payload-invalid", `payload.${command.kind}`, faults.slice(0, 1_000));
}
