import { systemClock } from "@isthmus/shared/clock";
import { expect, test } from "vitest";
import type { ApiDependencies } from "../graph/dependencies.ts";
import type { ApiRequest } from "../graph/route.ts";
import { exportRoutes } from "../graph/routes/exports.ts";
import { StoreRecords } from "../store/records.ts";
import { StoredInventory } from "../store/stored-inventory.ts";
import { inventoryFixture, recordsOf, told } from "../testing/inventory-fixture.ts";
import { clientFacets } from "../testing/told-site.ts";

/** Exports of a real store that changes between each two of their pages. */

const DISK = "SMS_G_System_LOGICAL_DISK";
const DEVICES = 1_800;
const AT_ONCE = 200;

/** A fleet of devices with the keys 1 to 1,800, which changes by keys. */
async function fleet({ store, bridge }: Awaited<ReturnType<typeof inventoryFixture>>) {
  const { lease = 0 } = (await bridge.lease()) ?? {};
  let revision = 0;
  const tell = async (keys: readonly number[], note: string) => {
    for (let at = 0; at < keys.length; at += AT_ONCE) {
      const records = keys.slice(at, at + AT_ONCE).map((key) => {
        revision += 1;
        const disks = ["C:", "D:"].map((DeviceID, n) => ({ GroupID: n + 1, DeviceID, note }));
        const facets = { ...clientFacets(`${note}-${key}`), [DISK]: disks };
        return told(`${key}`, revision, facets);
      });
      await bridge.tell(recordsOf(lease, ...records));
    }
  };
  const remove = async (keys: readonly number[]) => {
    revision += 1;
    await bridge.tell({
      ...{ type: "deleted", source: "CM1", lease, kind: "device", keys: keys.map(String) },
      ...{ at: 1_760_000_000_000, revision, evidence: { how: "tombstone", scans: [] } },
    });
  };
  await tell(numbers(1, DEVICES), "old");
  const api = {
    records: new StoreRecords(store, systemClock),
    inventory: new StoredInventory(store),
  };
  const routes = exportRoutes(api as unknown as ApiDependencies);
  return { tell, remove, routes };
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, n) => from + n);
}

const LISTS = "/managedDevices/export";
const CLASSES = "/configurationManagerClasses/:class/export";
test.each([
  [LISTS, "ndjson", 1],
  [LISTS, "csv", 1],
  [CLASSES, "ndjson", 2],
  [CLASSES, "csv", 2],
] as const)(
  "%s as %s has each device once, whatever changes meanwhile",
  async (path, format, rowsEach) => {
    await using fixture = await inventoryFixture();
    const { tell, remove, routes } = await fleet(fixture);
    const query = path === LISTS ? "$select=configurationManagerKey,deviceName" : "";
    const request = {
      query: new URLSearchParams(`format=${format}&${query}`),
      ...{ parameters: { class: DISK }, act: { actor: "a", now: 1_760_000_000_000 } },
    };
    const route = routes.find((each) => each.path === path);
    const { stream } = (await route?.handle(request as unknown as ApiRequest)) ?? {};
    let [step, text] = [0, ""];
    const gone: number[] = [];
    for await (const chunk of stream?.chunks ?? []) {
      text += chunk;
      step += 1;
      if (step > 3) continue;
      // Everywhere in the order of the export: what was told of already, and what is still to come.
      const keys = numbers(0, 17).map((n) => n * 100 + step * 10);
      await tell(keys, `changed${step}`);
      await remove(keys.map((key) => key + 1));
      gone.push(...keys.map((key) => key + 1));
      // Away and there again between two pages.
      await remove(keys.map((key) => key + 2));
      await tell(
        keys.map((key) => key + 2),
        `again${step}`,
      );
      gone.push(...keys.map((key) => key + 2));
      await tell(numbers(2_000 + step * 100, 2_019 + step * 100), "new");
    }
    expect(step).toBeGreaterThan(3);
    const keys = keysIn(text, format);
    const counts = new Map<number, number>();
    for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
    const there = numbers(1, DEVICES).filter((key) => !gone.includes(key));
    expect(there.filter((key) => counts.get(key) !== rowsEach)).toEqual([]);
    expect([...counts].filter(([, count]) => count > rowsEach)).toEqual([]);
    // What went before its page came is not told of as if it were there.
    expect(gone.filter((key) => key % 10 === 1 && key > 1_700 && counts.has(key))).toEqual([]);
    expect(text).toContain("changed3-1730");
    expect(keys.some((key) => key > 2_000)).toBe(true);
  },
);

function keysIn(text: string, format: "csv" | "ndjson"): number[] {
  const lines = text.split(/\r?\n/).filter((line) => line !== "");
  if (format === "ndjson") {
    return lines.map((line) => Number(JSON.parse(line)["configurationManagerKey"]));
  }
  const [header = "", ...rows] = lines;
  const at = header.split(",").indexOf("configurationManagerKey");
  return rows.map((row) => Number(row.split(",")[at]));
}
