import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { needsRoot } from "../peers.ts";
import { healed } from "./chaos/judgement.ts";
import { Scene, soon } from "./chaos/scene.ts";
import { SITE } from "./chaos/settings.ts";

const DEVICES = 10;
const MORE = 5;
const FIRST_RESOURCE_ID = 16_777_216;

interface Source {
  readonly isOverQuota: boolean;
  readonly counts: Readonly<Record<string, number>>;
  readonly quota: { readonly records: number; readonly refusedCount: number };
}

/** Starts the control plane again with such limits for the site; without them as it was. */
async function restartWith(scene: Scene, quota: object | undefined): Promise<void> {
  await scene.stop("control-plane", "stop");
  const file = join(scene.folder, "control-plane", "config.json");
  const { inventory: _, ...rest } = JSON.parse(readFileSync(file, "utf8"));
  const inventory = quota && { inventory: { quota: { sources: { [SITE]: quota } } } };
  writeFileSync(file, JSON.stringify({ ...rest, ...inventory }));
  await scene.start("control-plane");
  scene.forgetSession();
}

test("a source over its limits is kept as it is while its bridge goes on, and is whole again once there is room", async (context) => {
  needsRoot(context);
  using folder = temporaryFolder();
  await using scene = await Scene.open(folder.path, DEVICES, 7);
  const told: string[] = [];
  const say = (line: string) => void told.push(line);
  await healed(scene, say);
  const source = async () =>
    await (await scene.graph()).get<Source>(`/configurationManagerSites/${SITE}`);
  const { quota } = await source();
  await restartWith(scene, { records: quota.records });
  for (let n = 0; n < MORE; n++) await scene.site.ask("change", { kind: "add" });
  await soon("the source over its limits", async () => (await source()).isOverQuota);
  const renamed = { kind: "rename", resourceId: FIRST_RESOURCE_ID, name: "STILL-TOLD" };
  await scene.site.ask("change", renamed);
  await soon("a change of a device that is known", async () => {
    const filter = encodeURIComponent("deviceName eq 'STILL-TOLD'");
    const graph = await scene.graph();
    return (await graph.list(`/managedDevices?$filter=${filter}`)).length === 1;
  });
  const over = await source();
  expect(over.counts["device"]).toBe(DEVICES);
  expect(over.quota.records).toBe(quota.records);
  expect(over.quota.refusedCount).toBeGreaterThanOrEqual(1);
  await restartWith(scene, undefined);
  await healed(scene, say);
  const whole = await source();
  expect([whole.isOverQuota, whole.counts["device"]]).toEqual([false, DEVICES + MORE]);
}, 600_000);
