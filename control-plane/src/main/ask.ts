import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { holdStateFolder, stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { systemRandom } from "@isthmus/shared/random";
import type { Configuration } from "../config/configuration.ts";
import { Passwords } from "../core/password.ts";
import { StoreRecords } from "../store/records.ts";
import { administrationHandlers } from "./administration.ts";
import { openControlPlaneStore } from "./open-store.ts";
import { knownTenantKeys, tenantKeysFile } from "./tenant-keys.ts";

/**
 * Has the running control plane do something, or does it here while none runs. Throws `not-running` for what needs one,
 * `store-in-use` where one runs that does not answer.
 */
export async function ask(
  configuration: Configuration,
  method: string,
  argument: unknown = null,
): Promise<unknown> {
  const folder = stateFolderAt(configuration.stateFolder);
  const answered = await askRunningService(folder.controlSocket, method, argument);
  if (answered !== undefined) return answered.result;
  using _hold = holdStateFolder(folder);
  await using store = await openControlPlaneStore(folder.storeFile);
  const handlers = administrationHandlers({
    records: new StoreRecords(store, systemClock),
    store,
    passwords: new Passwords(systemRandom),
    clock: systemClock,
    random: systemRandom,
    tenantKeys: () => knownTenantKeys(tenantKeysFile(folder.path)),
    tokenText: () => Promise.reject(notRunning()),
    status: () => Promise.reject(notRunning()),
    rotateTenantKey: () => Promise.reject(notRunning()),
  });
  return await handlers[method]?.(argument);
}

function notRunning(): ConnectorError {
  return new ConnectorError("not-running", "The control plane does not run: start it with run");
}
