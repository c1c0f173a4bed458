import { z } from "zod";
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

const placed = z.looseObject({ stateFolder: commonConfiguration.shape.stateFolder });

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

/**
 * The state folder alone, for commands that ask the running service: a fault that came into the file since it started must not
 * keep anybody from ending a session.
 *
 * @throws ConfigurationError where the file is not JSON or names no state folder.
 */
export function loadStateFolder(file: string): string {
  return loadConfiguration(placed, file).stateFolder;
}
