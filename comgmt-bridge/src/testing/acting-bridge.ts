import type { CommandContext, WindowLimit } from "@isthmus/shared/kernel/service-definition";
import { isConsented } from "@isthmus/shared/kernel/service-definition";
import type { ActionEntry } from "@isthmus/shared/link/site-messages";
import { actionEntry } from "@isthmus/shared/link/site-messages";
import { commandContext } from "@isthmus/shared/testing/command-context";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { storedScriptSha256 } from "../../../test/simulators/configmgr/scripts.ts";
import { startSite } from "../../../test/simulators/configmgr/site.ts";
import type { SiteOptions } from "../../../test/simulators/configmgr/site-options.ts";
import { guardrails } from "../config/bridge-configuration.ts";
import { type SiteCommandOptions, siteCommands } from "../main/actions/site-commands.ts";
import type { BridgeOperations } from "../store/module.ts";
import { clientOf, LIMITS } from "./site-under-test.ts";
import { TOKEN } from "./strict-admin-service.ts";

export const FIRST = 16_777_216;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
const SETTLE_MS = 3 * MINUTE_MS;

/** A script that two people have made and approved. */
export const SCRIPT = {
  guid: "A1B2C3D4-0000-4000-8000-000000000001",
  name: "Say hello",
  text: 'param([string]$Name)\n"hello $Name"',
  isApproved: true,
  parameters: [{ name: "Name", isRequired: true }],
};

export const SCRIPT_SHA256 = storedScriptSha256(SCRIPT.text);

/** Guardrails that allow everything the tests do, to devices of All Systems. */
export const ALLOWING = {
  targets: { CM1: { collections: ["SMS00001", "CM100014"] } },
  notifications: [
    "refreshMachinePolicy",
    "wakeUpClient",
    "fullScan",
    "quickScan",
    "windowsDefenderUpdateSignatures",
  ],
  restart: { maxDevicesPerAction: 2 },
  scripts: [
    {
      scriptGuid: SCRIPT.guid,
      version: "1",
      sha256: SCRIPT_SHA256,
      parameters: { Name: '[A-Za-z &<>"]{1,40}' },
    },
  ],
  allowQueries: true,
  allowRecoveryKeys: true,
  customProperties: ["AssetTag", "Location"],
};

export type ActingBridge = Awaited<ReturnType<typeof startActingBridge>>;

/** The commands of a bridge on a simulated site. The site's clock is the bridge's; time passes when a test says so. */
export async function startActingBridge(
  of: {
    readonly actions?: object;
    readonly queries?: object;
    readonly site?: Partial<SiteOptions>;
    readonly commands?: Pick<SiteCommandOptions, "readAgain">;
    readonly limits?: Readonly<Record<string, WindowLimit>>;
  } = {},
) {
  const rules = guardrails.parse({
    actions: { ...ALLOWING, ...of.actions },
    queries: of.queries ?? { entities: ["*", { entity: "EventLog", arguments: ["*"] }] },
  });
  const kernel = await makeTestKernel<object, typeof rules, BridgeOperations>({
    service: "comgmt-bridge",
    storeModule: new URL("../store/module.ts", import.meta.url),
    local: {},
    guardrails: rules,
    ...(of.limits !== undefined && { limits: of.limits }),
  });
  const { clock } = kernel;
  const site = await startSite({
    ...{ devices: 40, onlineShare: 1, clock, scripts: [SCRIPT] },
    tokens: { [TOKEN]: { name: "CORP\\isthmus" } },
    behaviour: { answerMinMs: 1_000, answerMaxMs: 2_000 },
    ...of.site,
  });
  const client = clientOf(site, { parts: { clock }, limits: { maxAnswerBytes: 4_194_304 } });
  const configuration = {
    siteCode: "CM1",
    scriptParameterHash: "lower",
    limits: { ...LIMITS, pageRows: 25 },
  } as const;
  const open = (under: typeof rules = rules) =>
    siteCommands(
      Object.assign(Object.create(kernel), { guardrails: under }),
      [{ configuration, client }],
      { settleMs: SETTLE_MS, ...of.commands },
    );
  let commands = open();
  const handlerOf = (kind: string) => {
    const handler = commands.handlers[kind];
    if (handler === undefined) throw new Error(`no command ${kind}`);
    return handler;
  };
  const read = (kind: string, payload: object) =>
    handlerOf(kind).payload.parse({ source: "CM1", ...payload });
  const contextOf = (id: string, more: Partial<CommandContext> = {}) =>
    commandContext({ id, expiresAt: clock.now() + HOUR_MS, ...more });
  return {
    kernel,
    clock,
    site,
    client,
    /** As the kernel runs a command: judged, consented to, run. */
    async run(kind: string, payload: object, id = "c1", more: Partial<CommandContext> = {}) {
      const handler = handlerOf(kind);
      const asked = read(kind, payload);
      const context = contextOf(id, more);
      await handler.judge?.(asked);
      const rule = await handler.approval?.(asked);
      if (rule !== undefined && !isConsented(rule, context.consent)) return "await-approval";
      return await handler.run(asked, context);
    },
    /** What the kernel does once nothing speaks against it any more. */
    runJudged: async (kind: string, payload: object, id = "c1") =>
      await handlerOf(kind).run(read(kind, payload), contextOf(id)),
    judge: async (kind: string, payload: object) => handlerOf(kind).judge?.(read(kind, payload)),
    reconcile: (kind: string, payload: object, id = "c1") =>
      handlerOf(kind).reconcile?.(read(kind, payload), contextOf(id)),
    /** Lets time pass and looks once at every action. */
    async look(ms = 2 * MINUTE_MS): Promise<void> {
      clock.advance(ms);
      for (const watch of commands.watches) await watch.look();
    },
    /** Lets the watch look by itself, as the service does. */
    start: () => commands.start(),
    /** Another process takes over what is in the store, under other guardrails where somebody has changed them. */
    restart(changed: object = {}): void {
      commands[Symbol.dispose]();
      const actions = guardrails.parse({ actions: { ...ALLOWING, ...of.actions, ...changed } });
      commands = open({ ...rules, actions: actions.actions });
    },
    /** Everything that was told, as the control plane reads it. */
    async told(): Promise<readonly ActionEntry[]> {
      const rows = await kernel.store.query<{ entry: string }>(
        "SELECT entry FROM stream_entry WHERE stream = 'actions' ORDER BY position",
        [],
        100_000,
      );
      return rows.map(({ entry }) => actionEntry.parse(JSON.parse(entry)));
    },
    /** The last news of each device. */
    async states(): Promise<ReadonlyMap<number, Told>> {
      const news = new Map<number, Told>();
      for (const entry of await this.told()) {
        if (entry.type !== "progress") continue;
        for (const device of entry.devices) news.set(Number(device.key), device);
      }
      return news;
    },
    async audit(): Promise<string> {
      const rows = await kernel.store.query<{ event: string; payload: string }>(
        "SELECT event, payload FROM audit_journal ORDER BY idx",
        [],
        100_000,
      );
      return rows.map(({ event, payload }) => `${event} ${payload}`).join("\n");
    },
    async [Symbol.asyncDispose]() {
      commands[Symbol.dispose]();
      client[Symbol.dispose]();
      await site[Symbol.asyncDispose]();
      await kernel[Symbol.asyncDispose]();
    },
  };
}

export type Told = Extract<ActionEntry, { readonly type: "progress" }>["devices"][number];

/** Devices of the simulated fleet by number. */
export function devices(...numbers: readonly number[]) {
  return { kind: "devices", resourceIds: numbers.map((number) => FIRST + number) } as const;
}

export function collection(collectionId: string) {
  return { kind: "collection", collectionId } as const;
}
