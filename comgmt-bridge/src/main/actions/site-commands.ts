import { RefusalError } from "@isthmus/shared/errors";
import type { CommandHandler, Kernel } from "@isthmus/shared/kernel/service-definition";
import { commandHandler } from "@isthmus/shared/kernel/service-definition";
import { siteCommandPayloads } from "@isthmus/shared/link/site-messages";
import type { BridgeGuardrails, LocalConfiguration } from "../../config/bridge-configuration.ts";
import type { SiteConfiguration } from "../../config/site.ts";
import { ActionSite } from "../../site/action-site.ts";
import type { AdminServiceClient } from "../../site/admin-service-client.ts";
import type { BridgeOperations } from "../../store/module.ts";
import { ActionLocks, type ActionParts } from "./action-parts.ts";
import { type ActionKind, ActionRunner, type TargetedPayload } from "./action-runner.ts";
import { ActionWatch } from "./action-watch.ts";
import { applicationKind } from "./application.ts";
import { matchesWithin } from "./bounded-match.ts";
import { Cancellation } from "./cancel.ts";
import { CustomProperties } from "./custom-properties.ts";
import { notifyKind } from "./notify.ts";
import { queryKind } from "./query.ts";
import { RecoveryKeys } from "./recovery-keys.ts";
import { scriptKind } from "./script.ts";

/** Own limit: longer than any request and any queue in between. */
const SETTLE_MS = 180_000;

type BridgeKernel = Kernel<LocalConfiguration, BridgeGuardrails, BridgeOperations>;

/** A site with the connection that everything of the bridge shares. */
export interface ActedSite {
  readonly configuration: Pick<SiteConfiguration, "siteCode" | "limits" | "scriptParameterHash">;
  readonly client: AdminServiceClient;
}

export interface SiteCommands extends Disposable {
  // biome-ignore lint/suspicious/noExplicitAny: handlers of differently typed payloads in one record
  readonly handlers: Readonly<Record<string, CommandHandler<any>>>;
  /** One for each site: they watch what was begun, also by an earlier process. */
  readonly watches: readonly ActionWatch[];
  /** Lets the watches run until they are disposed of. */
  start(): void;
}

export interface SiteCommandOptions {
  readonly settleMs?: number;
  /** Reads devices of a site into the inventory; it throws nothing that an action would fail with. */
  readonly readAgain?: (
    source: string,
    resourceIds: readonly number[],
    signal: AbortSignal,
  ) => Promise<void>;
}

/** What a bridge does at its sites when it is asked to. The connections are the caller's. */
export function siteCommands(
  kernel: BridgeKernel,
  sites: readonly ActedSite[],
  { settleMs = SETTLE_MS, readAgain = async () => {} }: SiteCommandOptions = {},
): SiteCommands {
  const all = new Map(
    sites.map((site) => {
      const { siteCode } = site.configuration;
      const again: ActionParts["readAgain"] = (...of) => readAgain(siteCode, ...of);
      return [siteCode, commandsOf(kernel, site, { settleMs, readAgain: again })];
    }),
  );
  const watches = [...all.values()].map(({ watch }) => watch);
  kernel.health.figure("site-actions-open", () => watches.reduce((sum, { open }) => sum + open, 0));
  return {
    handlers: Object.fromEntries(KINDS.map((kind) => [kind, bySource(kind, all)])),
    watches,
    start() {
      for (const watch of watches) void watch.run();
    },
    [Symbol.dispose]() {
      for (const watch of watches) watch[Symbol.dispose]();
    },
  };
}

const KINDS = [
  "site.notify",
  "site.script",
  "site.query",
  "site.application",
  "site.recovery-key",
  "site.custom-properties",
  "site.cancel",
] as const;
type Kind = (typeof KINDS)[number];

interface OfSource {
  readonly source: string;
}

type Handlers = Readonly<Record<Kind, CommandHandler<OfSource>>>;

interface CommandsOfSite {
  readonly handlers: Handlers;
  readonly watch: ActionWatch;
}

/** Passes a command to the site it names. Throws RefusalError `source-unknown` where that is none of this bridge's. */
function bySource(kind: Kind, all: ReadonlyMap<string, CommandsOfSite>): CommandHandler<OfSource> {
  const of = ({ source }: OfSource): CommandHandler<OfSource> => {
    const handler = all.get(source)?.handlers[kind];
    if (handler !== undefined) return handler;
    const known = [...all.keys()].join(", ") || "no site";
    throw new RefusalError("source-unknown", "site.siteCode", `this bridge is for ${known}`);
  };
  return {
    payload: siteCommandPayloads[kind] as unknown as CommandHandler<OfSource>["payload"],
    judge: (payload) => of(payload).judge?.(payload),
    approval: (payload) => of(payload).approval?.(payload),
    run: (payload, context) => of(payload).run(payload, context),
    // Where a site has no way to ask, what repeats without harm is run again.
    reconcile: async (payload, context) =>
      (await of(payload).reconcile?.(payload, context)) ?? "not-run",
  };
}

function commandsOf(
  kernel: BridgeKernel,
  site: ActedSite,
  waits: Pick<ActionParts, "settleMs" | "readAgain">,
): CommandsOfSite {
  const { siteCode, limits, scriptParameterHash } = site.configuration;
  const { actions, queries } = kernel.guardrails;
  const none = { collections: [], devices: [], never: [] };
  const parts: ActionParts = {
    kernel,
    siteCode,
    client: site.client,
    site: new ActionSite(site.client, limits.pageRows),
    allowance: {
      ...actions,
      targets: { ...(actions.targets[siteCode] ?? none), source: siteCode },
    },
    queries: { functions: undefined, ...queries },
    matches: matchesWithin,
    parameterHashCase: scriptParameterHash,
    ...waits,
    locks: new ActionLocks(),
  };
  const watch = new ActionWatch(parts);
  const handlers = {
    "site.notify": targeted("site.notify", notifyKind(parts), { parts, watch }),
    "site.script": targeted("site.script", scriptKind(parts), { parts, watch }),
    "site.query": targeted("site.query", queryKind(parts), { parts, watch }),
    "site.application": targeted("site.application", applicationKind(parts), { parts, watch }),
    "site.recovery-key": recoveryKeys(parts),
    "site.custom-properties": customProperties(parts, watch),
    "site.cancel": cancellation(parts),
  };
  // Each takes its own payload, which `bySource` has read with the very schema.
  return { handlers: handlers as unknown as Handlers, watch };
}

function targeted<Payload extends TargetedPayload>(
  kind: Kind,
  of: ActionKind<Payload>,
  { parts, watch }: { readonly parts: ActionParts; readonly watch: ActionWatch },
): CommandHandler<Payload> {
  const runner = new ActionRunner(parts, of, watch.wake);
  return {
    payload: siteCommandPayloads[kind] as unknown as CommandHandler<Payload>["payload"],
    judge: (payload) => runner.judge(payload),
    approval: (payload) => runner.approval(payload),
    run: (payload, context) => runner.run(payload, context),
    reconcile: (payload, context) => runner.reconcile(payload, context),
  };
}

/** Without `reconcile`: to show a key again changes nothing that the first time did not. */
function recoveryKeys(parts: ActionParts) {
  const keys = new RecoveryKeys(parts);
  return commandHandler({
    payload: siteCommandPayloads["site.recovery-key"],
    judge: (payload) => keys.judge(payload),
    approval: () => keys.approval(),
    run: (payload, context) => keys.run(payload, context),
  });
}

function customProperties(parts: ActionParts, { wake }: ActionWatch) {
  const properties = new CustomProperties(parts, wake);
  return commandHandler({
    payload: siteCommandPayloads["site.custom-properties"],
    judge: (payload) => properties.judge(payload),
    approval: () => properties.approval(),
    run: (payload, context) => properties.run(payload, context),
    reconcile: (payload, context) => properties.reconcile(payload, context),
  });
}

/** Without `reconcile`: what is cancelled already stays so. */
function cancellation(parts: ActionParts) {
  const cancel = new Cancellation(parts);
  return commandHandler({
    payload: siteCommandPayloads["site.cancel"],
    run: (payload) => cancel.run(payload),
  });
}
