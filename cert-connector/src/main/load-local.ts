import { loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import { localConfiguration } from "../config/local-configuration.ts";

/** The local configuration of this service in a file. */
export function loadLocal(file: string) {
  return loadLocalConfiguration({ localConfiguration }, file);
}
