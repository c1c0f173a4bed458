import type { Clock } from "@isthmus/shared/clock";
import type { Logger } from "pino";
import type { ReceiptSigner } from "../core/ports.ts";
import type { InventoryRetention } from "../store/inventory-retention.ts";
import type { ControlPlaneStore } from "../store/records.ts";
import { InventoryUpkeep } from "./inventory-upkeep.ts";
import { Loop } from "./loop.ts";

const EVERY_MS = 60_000;
/** How long after its expiry a command that left may still be answered before its outcome is called unknown. */
const SILENCE_GRACE_MS = 15 * 60_000;
/** Who the heads of the control plane's own chain are about. */
export const OWN_CHAIN = "control-plane";

/**
 * Each minute: ends commands and actions whose time is over, judges the tunnel servers, has the own audit chain countersigned, throws old
 * rows away, counts what sources take.
 */
export function startHousekeeping(of: {
  readonly store: ControlPlaneStore;
  readonly signer: ReceiptSigner;
  readonly clock: Clock;
  readonly log: Logger;
  readonly retention: InventoryRetention;
}): Loop {
  const inventory = new InventoryUpkeep(of.store, of.retention);
  return new Loop({
    round: async () => {
      const now = of.clock.now();
      await of.store.run("expireCommands", { now, graceMs: SILENCE_GRACE_MS });
      await of.store.run("maintainSiteActions", { now });
      await of.store.run("pruneOldRecords", { now });
      await inventory.round(now);
      await judgeTunnelServers(of.store, now);
      await countersignOwnChain(of);
      return false;
    },
    intervalMs: EVERY_MS,
    onError: (error) => of.log.warn({ err: error }, "housekeeping.delayed"),
  });
}

async function judgeTunnelServers(store: ControlPlaneStore, now: number): Promise<void> {
  let after: string | undefined = "";
  while (after !== undefined) {
    const { last }: { last: string | undefined } = await store.run("judgeTunnelServers", {
      now,
      after,
    });
    after = last;
  }
}

/** The signer's receipt for the newest link: whoever rewrites the chain later cannot make another. */
export async function countersignOwnChain(of: {
  readonly store: ControlPlaneStore;
  readonly signer: ReceiptSigner;
  readonly clock: Clock;
}): Promise<void> {
  const head = await of.store.run("auditHead");
  const [last] = await of.store.query<{ idx: number }>(
    "SELECT max(idx) AS idx FROM audit_receipt",
    [],
    1,
  );
  if (head === undefined || head.index === last?.idx) return;
  const receivedAt = of.clock.now();
  const jws = await of.signer.signAuditHead({ aud: OWN_CHAIN, ...head, receivedAt });
  await of.store.run("storeAuditReceipt", { ...head, receivedAt, jws });
}
