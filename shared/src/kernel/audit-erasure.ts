import { systemClock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import type { KernelOperations } from "./kernel-operations.ts";

/** Erases the payloads of audit entries before `before` (ms) and records that. Returns how many. */
export async function eraseRecorded(
  store: Pick<Store<KernelOperations>, "run">,
  before: number,
): Promise<number> {
  const erased = await store.run("eraseAuditPayloads", before);
  const payload = { before, erased };
  await store.run("recordAudit", { at: systemClock.now(), event: "audit.erased", payload });
  return erased;
}
