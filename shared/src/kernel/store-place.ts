import type { Operations } from "../store/transaction.ts";
import type { StorePlace } from "../store/worker-messages.ts";
import type { CommonConfiguration } from "./common-configuration.ts";
import type { ServiceDefinition } from "./service-definition.ts";
import { stateFolderAt } from "./state-folder.ts";

/** Where a service's store is: in its state folder, or in the database that its configuration names. */
export function storePlaceOf<Local, Desired, Rules, Ops extends Operations>(
  { database }: Pick<ServiceDefinition<Local, Desired, Rules, Ops>, "database">,
  local: Local & CommonConfiguration,
): StorePlace {
  const postgresql = database?.(local);
  if (postgresql !== undefined) return { postgresql };
  return { file: stateFolderAt(local.stateFolder).storeFile };
}
