import type { Kernel } from "@isthmus/shared/kernel/service-definition";
import type { Guardrails } from "../config/guardrails.ts";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { GatewayOperations } from "../store/gateway-store.ts";

/** What the kernel hands to a gateway. */
export type GatewayKernel = Kernel<LocalConfiguration, Guardrails, GatewayOperations>;
