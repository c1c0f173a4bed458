import { systemClock } from "@isthmus/shared/clock";
import type { CommonConfiguration } from "@isthmus/shared/kernel/common-configuration";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { holdStateFolder, stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { storePlaceOf } from "@isthmus/shared/kernel/store-place";
import { openStore } from "@isthmus/shared/store/store";
import { z } from "zod";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { loadLocal } from "./load-local.ts";

export const CA_RECORD = "ca.record";
const STORE_MODULE = new URL("../store/operations.ts", import.meta.url);

/** What the command line puts on record in the audit before it signs with the root's or the issuing CA's key. */
export const caRecord = z.strictObject({
  event: z.enum(["ca.subordinate", "ca.successor", "ca.root-list", "ca.ra-renewed"]),
  payload: z.record(z.string().max(64), z.union([z.string().max(8_192), z.number()])),
});
export type CaRecord = z.infer<typeof caRecord>;

/**
 * Puts an act on record: by way of the running service, or in its store while it does not run. Without a state folder, as on
 * the machine of a key ceremony, there is no audit: answers false.
 */
export async function recordCaAct(config: string | undefined, record: CaRecord): Promise<boolean> {
  if (config === undefined) return false;
  const local = loadLocal(config);
  const folder = stateFolderAt(local.stateFolder);
  if ((await askRunningService(folder.controlSocket, CA_RECORD, record)) !== undefined) return true;
  using _held = holdStateFolder(folder);
  await using store = await openStore<CertificateOperations>({
    ...placeOf(local),
    module: STORE_MODULE,
  });
  await store.run("recordAudit", { at: systemClock.now(), ...record });
  return true;
}

function placeOf(local: LocalConfiguration & CommonConfiguration) {
  return storePlaceOf({ database: ({ database }) => database }, local);
}
