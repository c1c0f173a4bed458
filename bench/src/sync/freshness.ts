import { setTimeout as delay } from "node:timers/promises";
import { SITE, type SyncedSite } from "./synced-site.ts";

/** A change as the simulated site made it. */
interface Change {
  readonly at: number;
  readonly kind: string;
  readonly resourceId?: number;
}

const LOOK_MS = 500;
/** Kinds of changes that the site stamps in a way that can be asked for. */
const HINTED = new Set(["inventory", "online", "add"]);

export interface Freshness {
  /** ms from the change at the site until the control plane has it. */
  readonly delays: readonly number[];
  /** Changes that had not come when the last look was taken. */
  readonly missing: number;
}

/**
 * Has devices change for `seconds`, so many a second, and sees how long it takes until the control plane has each change. Of a device that changes
 * twice before it was seen the first counts.
 */
export async function freshness(
  synced: SyncedSite,
  of: { readonly seconds: number; readonly changesPerSecond: number; readonly devices: number },
): Promise<Freshness> {
  const seen = new Map<string, number>();
  let revision = highestRevision(synced);
  const look = () => {
    const rows = synced.ask<{ key: string; revision: number }>(
      `SELECT r.key, r.revision FROM inventory_record r JOIN inventory_source s ON s.id = r.source_id
       WHERE s.name = ? AND r.kind = 'device' AND r.revision > ?`,
      SITE,
      revision,
    );
    const now = Date.now();
    for (const row of rows) {
      if (!seen.has(row.key)) seen.set(row.key, now);
      revision = Math.max(revision, row.revision);
    }
  };
  const changes: Change[] = [];
  const everyMs = 1_000 / of.changesPerSecond;
  const end = performance.now() + of.seconds * 1_000;
  for (let next = performance.now(), nextLook = next; performance.now() < end; ) {
    if (performance.now() >= next) {
      next += everyMs;
      changes.push(await change(synced, of.devices, changes.length));
    }
    if (performance.now() >= nextLook) {
      nextLook += LOOK_MS;
      look();
    }
    await delay(Math.max(1, Math.min(next, nextLook) - performance.now()));
  }
  const wanted = changes.filter(({ kind }) => HINTED.has(kind));
  const isSeen = ({ resourceId, at }: Change) => (seen.get(String(resourceId)) ?? 0) >= at;
  for (let looks = 0; looks < 2 * 120 && !wanted.every(isSeen); looks += 1) {
    await delay(LOOK_MS);
    look();
  }
  const found = wanted.filter(isSeen);
  return {
    delays: found.map(({ resourceId, at }) => (seen.get(String(resourceId)) ?? 0) - at),
    missing: wanted.length - found.length,
  };
}

/** Each device changes once: its place in the fleet follows from the number of the change. */
async function change(synced: SyncedSite, devices: number, count: number): Promise<Change> {
  const FIRST = 16_777_216;
  const resourceId = FIRST + ((count * 7_919) % devices);
  const kind = ["inventory", "inventory", "inventory", "online", "add"][count % 5] ?? "inventory";
  const asked =
    kind === "add"
      ? { kind }
      : kind === "online"
        ? { kind, resourceId, isOnline: count % 2 === 0 }
        : { kind, resourceId };
  const at = Date.now();
  const about = await synced.site.ask("change", asked);
  return { at, kind, resourceId: Number(about ?? resourceId) };
}

function highestRevision(synced: SyncedSite): number {
  const [row] = synced.ask<{ revision: number | null }>(
    "SELECT max(revision) AS revision FROM inventory_record",
  );
  return row?.revision ?? 0;
}
