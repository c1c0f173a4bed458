import type {
  CheckResult,
  Kernel,
  RunningService,
  ServiceDefinition,
} from "@isthmus/shared/kernel/service-definition";
import {
  type BridgeGuardrails,
  type DesiredConfiguration,
  desiredConfiguration,
  guardrails,
  type LocalConfiguration,
  localConfiguration,
} from "../config/bridge-configuration.ts";
import type { BridgeOperations } from "../store/module.ts";
import { queryCommand } from "./query-command.ts";

/** The bridge as the kernel runs it: enrolled, healthy and idle. It reads no Configuration Manager site yet. */
export const bridge: ServiceDefinition<
  LocalConfiguration,
  DesiredConfiguration,
  BridgeGuardrails,
  BridgeOperations
> = {
  service: "comgmt-bridge",
  summary:
    "the connector for Configuration Manager and Active Directory; this version reports its health only",
  localConfiguration,
  desiredConfiguration,
  guardrails,
  storeModule: new URL("../store/module.ts", import.meta.url),
  commands: [queryCommand],
  checks: () => [{ name: "site", run: siteCheck }],
  start: startBridge,
};

async function startBridge(
  kernel: Kernel<LocalConfiguration, BridgeGuardrails, BridgeOperations>,
): Promise<RunningService<DesiredConfiguration>> {
  kernel.health.register({ name: "site", run: siteCheck });
  return {
    async applyConfiguration() {
      // The schema has refused every site; an empty configuration changes nothing.
    },
    commands: {},
    async [Symbol.asyncDispose]() {},
  };
}

/** Not unhealthy: the bridge does what it can, and says what that is. */
function siteCheck(): CheckResult {
  return {
    status: "warning",
    reason:
      "no Configuration Manager site is configured, so no device inventory is synchronised and no action can be run",
    remedy:
      "nothing to do: this version of the bridge keeps the connection and reports health only",
  };
}
