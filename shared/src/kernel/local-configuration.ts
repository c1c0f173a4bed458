import type { z } from "zod";
import type { Operations } from "../store/transaction.ts";
import type { CliOption } from "./command.ts";
import { type CommonConfiguration, commonConfiguration } from "./common-configuration.ts";
import { loadConfiguration } from "./configuration.ts";
import type { ServiceDefinition } from "./service-definition.ts";

/** The option by which every command of a service finds its configuration. */
export const CONFIG_OPTION: CliOption = {
  type: "string",
  valueName: "PATH",
  summary: "local configuration file (JSON)",
  isRequired: true,
};

/**
 * A connector's local configuration: the kernel's keys and the service's, nothing else.
 *
 * @throws ConfigurationError with every fault.
 */
export function loadLocalConfiguration<Local, Desired, Rules, Ops extends Operations>(
  definition: Pick<ServiceDefinition<Local, Desired, Rules, Ops>, "localConfiguration">,
  file: string,
): Local & CommonConfiguration {
  const schema = commonConfiguration.extend(definition.localConfiguration.shape).strict();
  return loadConfiguration(schema as unknown as z.ZodType<Local & CommonConfiguration>, file);
}
