import { systemClock } from "@isthmus/shared/clock";
import type {
  CheckResult,
  Kernel,
  RunningService,
  ServiceDefinition,
} from "@isthmus/shared/kernel/service-definition";
import { systemRandom } from "@isthmus/shared/random";
import {
  type BridgeGuardrails,
  type DesiredConfiguration,
  desiredConfiguration,
  guardrails,
  type LocalConfiguration,
  localConfiguration,
} from "../config/bridge-configuration.ts";
import type { BridgeOperations } from "../store/module.ts";
import { deletionControls } from "./deletion-controls.ts";
import { deletionsCommand } from "./deletions-command.ts";
import { queryCommand } from "./query-command.ts";
import { siteChecks } from "./site-checks.ts";
import { SiteWatch } from "./site-watch.ts";

/** The bridge as the kernel runs it: it knows its site and watches it, and synchronises nothing yet. */
export const bridge: ServiceDefinition<
  LocalConfiguration,
  DesiredConfiguration,
  BridgeGuardrails,
  BridgeOperations
> = {
  service: "comgmt-bridge",
  summary:
    "the connector for Configuration Manager and Active Directory; this version checks and watches a site, and syncs nothing yet",
  localConfiguration,
  desiredConfiguration,
  guardrails,
  storeModule: new URL("../store/module.ts", import.meta.url),
  commands: [queryCommand, deletionsCommand],
  checks: ({ site, stateFolder }) =>
    site === undefined
      ? [{ name: "site", run: noSite }]
      : siteChecks(site, { ...systemParts, stateFolder }),
  start: startBridge,
};

/** `check` runs without a kernel. */
const systemParts = { clock: systemClock, random: systemRandom };

async function startBridge(
  kernel: Kernel<LocalConfiguration, BridgeGuardrails, BridgeOperations>,
): Promise<RunningService<DesiredConfiguration>> {
  const { site } = kernel.local;
  const watch = site === undefined ? undefined : new SiteWatch(site, kernel);
  kernel.health.register({ name: "site", run: () => watch?.check() ?? noSite() });
  watch?.reportTo(kernel.health);
  return {
    async applyConfiguration() {
      // The schema has refused every site; an empty configuration changes nothing.
    },
    commands: {},
    controls: deletionControls({
      store: kernel.store,
      clock: kernel.clock,
      wake: (stream) => kernel.link.wake(stream),
    }),
    async [Symbol.asyncDispose]() {
      watch?.[Symbol.dispose]();
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
