import type { ServiceDefinition } from "@isthmus/shared/kernel/service-definition";
import {
  type DesiredConfiguration,
  desiredConfiguration,
} from "../config/desired-configuration.ts";
import { type Guardrails, guardrails } from "../config/guardrails.ts";
import { type LocalConfiguration, localConfiguration } from "../config/local-configuration.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { caCommands } from "./ca-commands.ts";
import { databaseCommands } from "./database.ts";
import { offlineChecks } from "./health-checks.ts";
import { notificationCommands } from "./notification-commands.ts";
import { pfxCommands } from "./pfx-commands.ts";
import { pkcsCommands } from "./pkcs-commands.ts";
import { serviceCommands } from "./service-commands.ts";
import { shadowCommands } from "./shadow.ts";
import { startCertConnector } from "./start.ts";
import { traceCommands } from "./trace-commands.ts";

/** The certificate connector as the kernel runs it. */
export const definition: ServiceDefinition<
  LocalConfiguration,
  DesiredConfiguration,
  Guardrails,
  CertificateOperations
> = {
  service: "cert-connector",
  summary: "issues, renews and revokes certificates for devices",
  localConfiguration,
  desiredConfiguration,
  guardrails,
  builtInGuardrails: { allow: ["certificate.revoke", "certificate.trace", "health.report"] },
  storeModule: new URL("../store/operations.ts", import.meta.url),
  database: ({ database }) => database,
  commands: [
    caCommands,
    databaseCommands,
    ...serviceCommands,
    notificationCommands,
    pkcsCommands,
    pfxCommands,
    ...traceCommands,
    shadowCommands,
  ],
  checks: offlineChecks,
  start: startCertConnector,
};
