import { spawn } from "node:child_process";
import { once } from "node:events";
import { openStore } from "@isthmus/shared/store/store";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import type { GatewayOperations } from "./gateway-store.ts";

const module = new URL("./gateway-store.ts", import.meta.url);
const ban = {
  ...{ kind: "account" as const, key: "alice@example.com", points: 80.5 },
  ...{ at: 1_000, bannedUntil: 61_000, banMs: 60_000 },
};
const place = { account: "alice@example.com", place: "192.0.2.1", seenAt: 2_000 };
const nothing = { put: [], drop: [] };

/** Saves in a process of its own, says so, and is killed then. */
async function saveAndBeKilled(file: string): Promise<void> {
  const script = `
    import { openStore } from "@isthmus/shared/store/store";
    const store = await openStore({ file: ${JSON.stringify(file)}, module: new URL(${JSON.stringify(module.href)}) });
    const scores = { put: [${JSON.stringify(ban)}], drop: [] };
    await store.run("saveScores", { scores, places: { put: [${JSON.stringify(place)}], drop: [] } });
    process.stdout.write("saved");
    setInterval(() => {}, 1_000);
  `;
  const argumentsOf = ["--input-type=module", "--eval", script];
  const child = spawn(process.execPath, argumentsOf, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const [told] = await Promise.race([once(child.stdout, "data"), exited]);
  child.kill("SIGKILL");
  await exited;
  expect(String(told)).toBe("saved");
}

test("what was saved is there after the process was killed, and what is dropped is gone", async () => {
  using folder = temporaryFolder();
  const file = `${folder.path}/store.db`;
  await saveAndBeKilled(file);
  await using store = await openStore<GatewayOperations>({ file, module });
  expect(await store.run("listScores")).toEqual([ban]);
  expect(await store.run("listPlaces")).toEqual([place]);
  const later = { ...ban, points: 90 };
  await store.run("saveScores", { scores: { put: [later], drop: [] }, places: nothing });
  expect(await store.run("listScores")).toEqual([later]);
  const drop = { scores: { put: [], drop: [ban] }, places: { put: [], drop: [place] } };
  await store.run("saveScores", drop);
  expect(await store.run("listScores")).toEqual([]);
  expect(await store.run("listPlaces")).toEqual([]);
});
