import type { HealthCheck, ServiceDefinition } from "@isthmus/shared/kernel/service-definition";
import {
  type DesiredConfiguration,
  desiredConfiguration,
} from "../config/desired-configuration.ts";
import { type Guardrails, guardrails } from "../config/guardrails.ts";
import { type LocalConfiguration, localConfiguration } from "../config/local-configuration.ts";
import type { GatewayOperations } from "../store/gateway-store.ts";
import { gatewayCli } from "./cli.ts";
import { Gateway } from "./gateway.ts";
import { offlineChecks } from "./offline-checks.ts";

/** Everything that the kernel needs to know of a gateway. */
export const definition: ServiceDefinition<
  LocalConfiguration,
  DesiredConfiguration,
  Guardrails,
  GatewayOperations
> = {
  service: "tunnel-gateway",
  summary: "lets known, compliant devices reach what their group may, and nothing else",
  localConfiguration,
  desiredConfiguration,
  guardrails,
  builtInGuardrails: {
    allow: ["health.report", "devices.update", "revocation.refresh"],
    limits: { "devices.update": { max: 6_000, perMinutes: 60 } },
  },
  storeModule: new URL("../store/gateway-store.ts", import.meta.url),
  commands: gatewayCli,
  checks: (local): readonly HealthCheck[] => offlineChecks(local),
  async start(kernel) {
    const gateway = new Gateway(kernel);
    try {
      await gateway.start();
      return gateway;
    } catch (error) {
      // What it had begun would keep a process alive that serves nobody, and no supervisor would start it again.
      await gateway[Symbol.asyncDispose]();
      throw error;
    }
  },
};
