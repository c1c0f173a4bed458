import { systemClock } from "@isthmus/shared/clock";
import type {
  CheckResult,
  Kernel,
  RunningService,
  ServiceDefinition,
} from "@isthmus/shared/kernel/service-definition";
import { type BridgeConfiguration, bridgeConfiguration } from "@isthmus/shared/link/desired-sites";
import type { LeaseWanted } from "@isthmus/shared/link/inventory-messages";
import { systemRandom } from "@isthmus/shared/random";
import {
  type BridgeGuardrails,
  guardrails,
  type LocalConfiguration,
  localConfiguration,
} from "../config/bridge-configuration.ts";
import type { BridgeOperations } from "../store/module.ts";
import { type SiteCommandOptions, siteCommands } from "./actions/site-commands.ts";
import { deletionControls } from "./deletion-controls.ts";
import { deletionsCommand } from "./deletions-command.ts";
import { Inventory } from "./inventory.ts";
import { localSourceChecks, localSources } from "./local-sources.ts";
import { queryCommand } from "./query-command.ts";
import { refreshCommand } from "./refresh-command.ts";
import { siteChecks } from "./site-checks.ts";
import { wantedSites } from "./site-sources.ts";
import { configuredSites, Sites } from "./sites.ts";
import { syncCommand } from "./sync-command.ts";
import { publishSync } from "./sync-metrics.ts";
import { syncControls } from "./sync-status.ts";

/** The bridge as the kernel runs it: it reads the sites that it is asked to read, and watches them. */
export const bridge: ServiceDefinition<
  LocalConfiguration,
  BridgeConfiguration,
  BridgeGuardrails,
  BridgeOperations
> = {
  service: "comgmt-bridge",
  summary:
    "the connector for Configuration Manager and Active Directory: it tells the control plane what they have",
  localConfiguration,
  desiredConfiguration: bridgeConfiguration,
  guardrails,
  storeModule: new URL("../store/module.ts", import.meta.url),
  commands: [queryCommand, syncCommand, deletionsCommand],
  checks: (local) => {
    const sites = configuredSites(local);
    const others = localSourceChecks(local);
    if (sites.length === 0) return others.length > 0 ? others : [{ name: "site", run: noSite }];
    const ofSites = sites.flatMap((site, index) => {
      const checks = siteChecks(site, { ...systemParts, stateFolder: local.stateFolder });
      if (index === 0) return checks;
      const prefix = `site-${site.siteCode.toLowerCase()}`;
      return checks.map((check) => ({ ...check, name: check.name.replace(/^site/, prefix) }));
    });
    return [...ofSites, ...others];
  },
  start: startBridge,
};

/** `check` runs without a kernel. */
const systemParts = { clock: systemClock, random: systemRandom };

async function startBridge(
  kernel: Kernel<LocalConfiguration, BridgeGuardrails, BridgeOperations>,
): Promise<RunningService<BridgeConfiguration>> {
  const { store, clock, random, log, link, guardrails: rules } = kernel;
  const sites = new Sites(kernel);
  const others = localSources(kernel.local, { clock, random });
  for (const check of others.health) kernel.health.register(check);
  const hasSources = sites.all.length > 0 || others.wanted.length > 0;
  if (!hasSources) kernel.health.register({ name: "site", run: noSite });
  const { deletions } = rules;
  const wake = (stream: string) => link.wake(stream);
  const tell = (message: LeaseWanted) => link.tell(message);
  const inventory = new Inventory(
    { store, clock, random, log, deletions, tell, wake },
    kernel.connectorId === "standalone",
  );
  if (hasSources) {
    kernel.health.register({ name: "inventory", run: () => inventory.check() });
  }
  /** What became of an application stands in the inventory at once; the next reading brings it where this one fails. */
  const readAgain: SiteCommandOptions["readAgain"] = async (source, resourceIds, signal) => {
    try {
      await inventory.refresh(source, "device", resourceIds.map(String), signal);
    } catch (err) {
      log.info({ source, err }, "inventory.not-read-again");
    }
  };
  publishSync(kernel.metrics, inventory, store);
  await inventory.apply(others.wanted);
  const actions = siteCommands(kernel, sites.all, { readAgain });
  actions.start();
  return {
    async applyConfiguration(desired) {
      const wanted = wantedSites(desired.sites, sites, rules, { clock, random });
      await inventory.apply([...wanted, ...others.wanted]);
    },
    commands: { ...actions.handlers, "site.refresh": refreshCommand(inventory) },
    onInventory: (message) => inventory.onMessage(message),
    // Another bridge need not wait for the end of leases that are given up.
    leave: () => inventory[Symbol.asyncDispose](),
    controls: {
      ...deletionControls({ store, clock, wake }),
      ...syncControls(inventory, store),
    },
    async [Symbol.asyncDispose]() {
      actions[Symbol.dispose]();
      await inventory[Symbol.asyncDispose]();
      sites[Symbol.dispose]();
    },
  };
}

/** Not unhealthy: the bridge does what it can, and says what that is. */
function noSite(): CheckResult {
  return {
    status: "warning",
    reason:
      "no Configuration Manager site is configured, so no device inventory is synchronised and no action can be run",
    remedy: "describe the site under site in the local configuration",
  };
}
