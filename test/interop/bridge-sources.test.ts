import { rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentSource } from "@isthmus/comgmt-bridge/agents/agent-source";
import type { InventorySource } from "@isthmus/comgmt-bridge/core/ports";
import { DirectorySource } from "@isthmus/comgmt-bridge/directory/directory-source";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { Client } from "ldapts";
import { afterAll, expect, test } from "vitest";
import { StoredSource } from "./bridge-sync/stored-source.ts";
import { startSambaDomain, userAttributes } from "./samba/samba-domain.ts";

/** Domains and documents in the bridge's own store: what would go up to the control plane. */

const DAY_MS = 86_400_000;
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

/** Runs a source until it waits once. */
async function round(
  stored: StoredSource,
  make: (pause: () => Promise<void>) => InventorySource,
): Promise<void> {
  const ending = new AbortController();
  const source = make(async () => {
    ending.abort(new Error("enough"));
    ending.signal.throwIfAborted();
  });
  await expect(source.run(stored.sink, ending.signal)).rejects.toThrow("enough");
}

test("a domain goes up whole, then what changed, and what is gone by its tombstone or after two scans", async (context) => {
  const domain = stack.use(await startSambaDomain(context));
  const { baseDn, address, ca, administrator } = domain;
  const computer = (name: string) => ({
    relativeDn: `CN=${name},CN=Computers`,
    attributes: {
      ...{ objectClass: "computer", sAMAccountName: `${name}$`, userAccountControl: "4096" },
    },
  });
  await domain.add([
    ...Array.from({ length: 250 }, (_, at) => computer(`PC-${at}`)),
    { relativeDn: "CN=ada,CN=Users", attributes: userAttributes("ada", "Passw0rd.2") },
  ]);
  const admin = new Client({ url: `ldaps://${address}`, tlsOptions: { ca } });
  await admin.bind(administrator.dn, administrator.password);
  stack.defer(() => admin.unbind());
  const clock = new FakeClock(Date.now());
  await using stored = await StoredSource.open("corp.test", clock);
  const go = () =>
    round(
      stored,
      (pause) =>
        new DirectorySource(
          {
            address: {
              ...{ name: "corp.test", urls: [`ldaps://${address}`], ca, startTls: true },
              ...{ bindDn: administrator.dn, password: () => administrator.password },
              timeoutMs: 30_000,
            },
            ...{ baseDn, kinds: ["device", "user", "group"], changesMs: 60_000 },
            ...{ fullReadMs: DAY_MS, fullReadWithoutDirSyncMs: DAY_MS },
            groupsAfterDeletionMs: DAY_MS,
            limits: {
              ...{ pageRows: 100, rangeValues: 1_500, maxMembers: 5_000, maxObjects: 10_000 },
              timeoutMs: 30_000,
            },
          },
          { clock, random: systemRandom, onFault: () => {}, pause },
        ),
    );
  const keyOf = async (sam: string) =>
    [...(await stored.told("device"))].find(([, { identity }]) =>
      JSON.stringify(identity).includes(`"${sam}"`),
    )?.[0];

  await go();
  expect((await stored.told("device")).size).toBe(251);
  expect(await stored.figures("device")).toMatchObject({ records: 251, missing: 0, refused: 0 });
  expect(await keyOf("PC-7$")).toMatch(/^[0-9a-f-]{36}$/);

  const [changed, deleted, hidden] = [
    await keyOf("PC-1$"),
    await keyOf("PC-2$"),
    await keyOf("PC-3$"),
  ];
  const before = (await stored.entries()).length;
  await admin.modifyDN(`CN=PC-1,CN=Computers,${baseDn}`, `CN=PC-ONE,CN=Computers,${baseDn}`);
  await admin.del(`CN=PC-2,CN=Computers,${baseDn}`);
  clock.advance(60_000);
  await go();
  const news = (await stored.entries()).slice(before);
  expect(news).toMatchObject([
    { type: "deleted", kind: "device", keys: [deleted], evidence: { how: "tombstone" } },
    { type: "records", records: [{ key: changed }] },
  ]);

  // Without its cookie the bridge learns of a deletion only by looking twice.
  await admin.del(`CN=PC-3,CN=Computers,${baseDn}`);
  for (const isThere of [true, false]) {
    await stored.sink.keepCursor("dirsync", "");
    clock.advance(DAY_MS);
    await go();
    expect((await stored.told("device")).has(hidden ?? "")).toBe(isThere);
  }
  const last = (await stored.entries()).filter(({ type }) => type === "deleted").at(-1);
  expect(last).toMatchObject({ keys: [hidden], evidence: { how: "scans" } });
  expect((await stored.entries()).some(({ type }) => type === "digest")).toBe(true);
});

test("documents go up, and a device without one is deleted after two scans", async () => {
  using folder = temporaryFolder();
  const clock = new FakeClock(Date.now());
  const write = (name: string) => {
    const file = join(folder.path, `${name}.ocs`);
    const hardware = `<HARDWARE><NAME>${name}</NAME></HARDWARE>`;
    const rest = `<DEVICEID>${name}</DEVICEID><QUERY>INVENTORY</QUERY>`;
    writeFileSync(file, `<REQUEST><CONTENT>${hardware}</CONTENT>${rest}</REQUEST>`);
    const at = (clock.now() - 60_000) / 1_000;
    utimesSync(file, at, at);
  };
  for (let at = 0; at < 120; at += 1) write(`pc-${at}`);
  await using stored = await StoredSource.open("agents", clock);
  const go = () =>
    round(
      stored,
      (pause) =>
        new AgentSource(
          {
            ...{ name: "agents", folder: folder.path, maxAgeMs: 30 * DAY_MS, everyMs: 60_000 },
            ...{ scanMs: 3_600_000, settleMs: 10_000, incompleteMs: 900_000 },
            limits: { maxFileBytes: 65_536, maxFiles: 1_000, maxRejected: 10 },
          },
          { clock, onFault: () => {}, pause },
        ),
    );
  await go();
  expect((await stored.told("device")).size).toBe(120);
  rmSync(join(folder.path, "pc-5.ocs"));
  const entries = (await stored.entries()).length;
  for (const count of [120, 119]) {
    clock.advance(3_600_000);
    await go();
    expect((await stored.told("device")).size).toBe(count);
  }
  const news = (await stored.entries()).slice(entries).map(({ type }) => type);
  expect(news).not.toContain("records");
  expect(news).toContain("deleted");
  expect(await stored.figures("device")).toMatchObject({ records: 119, missing: 0, refused: 0 });
});
