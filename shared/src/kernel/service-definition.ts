import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { z } from "zod";
import type { Clock } from "../clock.ts";
import type { LeaseWanted } from "../link/inventory-messages.ts";
import type { InventoryMessage } from "../link/link-hooks.ts";
import type { PublicKey, Service } from "../link/messages.ts";
import type { Random } from "../random.ts";
import type { PostgresqlPlace } from "../store/postgresql/place.ts";
import type { Store } from "../store/store.ts";
import type { Operations } from "../store/transaction.ts";
import type { CliCommand } from "./command.ts";
import type { CommonConfiguration } from "./common-configuration.ts";
import type { ControlHandlers } from "./control-socket.ts";

/**
 * What a service hands to the kernel, what the kernel hands to it, and what it hands back when it runs. `main.ts` of a
 * service is `process.exitCode = await runService(definition, process.argv)`.
 */

/** A zod object: its shape is merged with the kernel's own keys, and keys in neither are refused. */
export type ObjectSchema<Output> = z.ZodObject<z.ZodRawShape> & z.ZodType<Output>;

export interface ServiceDefinition<Local, Desired, Rules, Ops extends Operations> {
  readonly service: Service;
  /** One line for `--help`. */
  readonly summary: string;
  /** The service's own keys of the local configuration file. */
  readonly localConfiguration: ObjectSchema<Local>;
  readonly desiredConfiguration: z.ZodType<Desired>;
  /** The service's own section of the guardrails file, under the service's name. `{}` has to be valid and safe. */
  readonly guardrails: ObjectSchema<Rules>;
  /** In force where no guardrails file is given; without it only `health.report` may run. */
  readonly builtInGuardrails?: BuiltInGuardrails;
  /** The file that exports `migrations` and `operations`, with the kernel's and the lanes' spread in. */
  readonly storeModule: URL;
  /** Where the store is if not in a file of the state folder: a database that replicas of the service share. */
  readonly database?: (local: Local & CommonConfiguration) => PostgresqlPlace | undefined;
  /** Further subcommands of the command line, e.g. `ca init`. */
  readonly commands?: readonly CliCommand[];
  /**
   * What `check` tests besides the kernel's own: endpoints, credentials and certificates of this service. It is run
   * without the service, so it may not need the kernel.
   */
  readonly checks?: (local: Local & CommonConfiguration) => readonly HealthCheck[];
  /** Starts all the service does. Called once, before the link is up and before any configuration is applied. */
  start(kernel: Kernel<Local, Rules, Ops>): Promise<RunningService<Desired>>;
}

/** A sliding window: at most `max` in any `perMinutes` minutes. */
export interface WindowLimit {
  readonly max: number;
  readonly perMinutes: number;
}

export interface BuiltInGuardrails {
  /** Command kinds that may run. */
  readonly allow: readonly string[];
  /** By command kind or window kind; what is not named has the kernel's default. */
  readonly limits?: Readonly<Record<string, WindowLimit>>;
}

export interface Kernel<Local, Rules, Ops extends Operations> {
  readonly service: Service;
  /** The service's own keys and the kernel's; paths are absolute. */
  readonly local: Local & CommonConfiguration;
  /** The service's own section of the guardrails. */
  readonly guardrails: Rules;
  readonly stateFolder: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store<Ops>;
  /** Aborts when the service has to stop. */
  readonly signal: AbortSignal;
  readonly health: Health;
  readonly metrics: Registry;
  readonly limits: Limits;
  readonly link: KernelLink;
  /** The connector's id at its control plane, or `standalone`. */
  readonly connectorId: string;
  /** Listeners the service opened, written to `run.json` once ready, e.g. `{ scepUrl: "http://127.0.0.1:41893" }`. */
  announce(listeners: Readonly<Record<string, string>>): void;
  /** The pinned tenant keys; empty in standalone mode. */
  tenantKeys(): readonly PublicKey[];
  /**
   * The payload of a compact JWS of type `typ` by a pinned tenant key.
   *
   * @throws RefusalError `signature-refused` with the reason.
   */
  verifyJws(jws: string, typ: string): Promise<unknown>;
}

export interface KernelLink {
  state(): LinkState;
  /** Says that a stream has new entries, so that they are sent now and not at the next look. */
  wake(stream: string): void;
  /** Sends a message that is worth nothing later; false where nobody would hear it. */
  tell(message: LeaseWanted): boolean;
}

export interface LinkState {
  readonly connected: boolean;
  /** Time of the last message from the control plane, by the local clock. */
  readonly lastContactAt: number | undefined;
  /** The control plane's clock minus ours, as measured by the last handshake. */
  readonly clockOffsetMs: number | undefined;
}

export interface Limits {
  /**
   * Counts `count` (1 unless given) against the sliding window of `kind`, whole or not at all, kept across restarts.
   *
   * @throws RefusalError `limit-exceeded`, rule `guardrails.commands.limits.<kind>`.
   */
  consume(kind: string, count?: number): Promise<void>;
  /** The window of a kind, for an operation that counts it in a transaction of its own (`consumeLimit`). */
  windowOf(kind: string): WindowLimit;
}

/** Sliding windows besides those of each command kind. */
export const WINDOW_KINDS = [
  "certificate-revocations",
  "certificate-issuance",
  "session-cuts",
  "site-devices-notified",
  "site-devices-restarted",
  "site-devices-scripted",
  "site-devices-queried",
  "site-devices-installed",
  "site-devices-described",
  "site-recovery-keys",
] as const;

export type CheckStatus = "healthy" | "warning" | "unhealthy" | "unknown";

/** `reason` says what was found; `remedy` what a person does about it, given with every status but `healthy`. */
export interface CheckResult {
  readonly status: CheckStatus;
  readonly reason: string;
  readonly remedy?: string;
}

export interface HealthCheck {
  /** Lower case with hyphens, at most 64 characters. */
  readonly name: string;
  /** What it throws is reported as `unhealthy`. It has 10 s. */
  run(): CheckResult | Promise<CheckResult>;
}

export interface Health {
  /** Up to 100 checks. A check that is `unhealthy` makes `/ready` answer 503. */
  register(check: HealthCheck): void;
  /** A number shown in the control plane, e.g. `sessions`; up to 50. */
  figure(name: string, read: () => number): void;
  /** A word that the control plane compares with what it knows, e.g. `vpn-network`; up to 50, left out where undefined. */
  fact(name: string, read: () => string | undefined): void;
}

/** How a command ended, as far as the far end can tell; `not-run` lets it run now. */
export type Reconciliation = "succeeded" | "failed" | "unknown" | "not-run";

export interface CommandHandler<Payload> {
  readonly payload: z.ZodType<Payload>;
  /** The service's own guardrails, before intent is stored. @throws RefusalError */
  judge?(payload: Payload): void | Promise<void>;
  /** The consent that this command needs beyond what the guardrails say of its kind; undefined where none. Asked after `judge`. */
  approval?(payload: Payload): ApprovalRule | undefined | Promise<ApprovalRule | undefined>;
  /** Runs the command; what it returns is JSON and goes to the control plane. */
  run(payload: Payload, context: CommandContext): Promise<unknown>;
  /** After a crash between intent and result. Without it such a command is run again. */
  reconcile?(payload: Payload, context: Omit<CommandContext, "signal">): Promise<Reconciliation>;
}

export interface CommandContext {
  readonly id: string;
  /** Who asked, by the word of the control plane. */
  readonly actor: string;
  /** ms since the epoch, by the control plane's clock. */
  readonly expiresAt: number;
  readonly consent: Consent;
  readonly signal: AbortSignal;
}

/** A second person's consent, by whom: `signatures` counts the different listed approvers who signed. */
export interface ApprovalRule {
  readonly signatures: number;
  /** Whether `approve <id>` on the host will do instead. */
  readonly local: boolean;
  /** Its name where it is a rule of the service: `guardrails.<service>.<key>`. */
  readonly rule?: string;
}

export interface Consent {
  readonly isLocal: boolean;
  readonly signatures: number;
}

/** Whether the consent that there is will do. */
export function isConsented(rule: ApprovalRule, { isLocal, signatures }: Consent): boolean {
  return (rule.local && isLocal) || signatures >= rule.signatures;
}

/** Infers the payload's type from its schema. */
export function commandHandler<Payload>(handler: CommandHandler<Payload>): CommandHandler<Payload> {
  return handler;
}

export interface RunningService<Desired> extends AsyncDisposable {
  /**
   * Puts a desired configuration in force without dropping what is going on. Throwing refuses it: the last good one
   * stays in force and the error is reported with the version.
   */
  applyConfiguration(configuration: Desired, version: number): Promise<void>;
  /** By command kind. `health.report` is the kernel's. */
  // biome-ignore lint/suspicious/noExplicitAny: handlers of differently typed payloads in one record
  readonly commands: Readonly<Record<string, CommandHandler<any>>>;
  /** Takes what the control plane says of inventory. Not signed: it may make the service read and send, and nothing else. */
  onInventory?(message: InventoryMessage): void;
  /** Before a stop closes the connection to the control plane: what that still has to hear. The service is disposed of later. */
  leave?(): Promise<void>;
  /** What the service's own subcommands ask of it while it runs, by way of the control socket. */
  readonly controls?: ControlHandlers;
}
