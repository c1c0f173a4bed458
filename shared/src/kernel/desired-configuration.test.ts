import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { z } from "zod";
import { FakeClock } from "../testing/fake-clock.ts";
import { makeStore, type StoreFixture } from "../testing/kernel-store-fixture.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { until } from "../testing/until.ts";
import { DesiredConfiguration } from "./desired-configuration.ts";
import { openStandalone, watchStandaloneFile } from "./standalone-file.ts";

const schema = z.strictObject({ colour: z.string() });
const FILE = "desired.json";

/** A service that remembers what is in force and does not like red. */
function scripted(made: StoreFixture) {
  const applied: { colour: string; version: number }[] = [];
  const desired = new DesiredConfiguration({
    source: "connector-1",
    schema,
    service: {
      async applyConfiguration({ colour }, version) {
        if (colour === "red") throw new Error("secret detail");
        applied.push({ colour, version });
      },
    },
    store: made.store,
    clock: new FakeClock(),
  });
  const offer = (version: number, configuration: unknown) =>
    desired.offer({
      version,
      configuration,
      document: JSON.stringify({ version, configuration }),
    });
  const restore = () => desired.applyKept(async (document) => openStandalone(document, FILE));
  return { applied, desired, offer, restore };
}

async function events({ store }: StoreFixture): Promise<string[]> {
  return (await store.run("auditPage", 0)).map(({ event }) => event);
}

test("a newer configuration is applied, kept and recorded", async () => {
  await using made = await makeStore();
  const { desired, offer, applied } = scripted(made);
  expect(await offer(3, { colour: "blue" })).toEqual({ version: 3, state: "applied" });
  expect(applied).toEqual([{ colour: "blue", version: 3 }]);
  expect(desired.version).toBe(3);
  expect(desired.check().status).toBe("healthy");
  expect(await events(made)).toEqual(["configuration.applied"]);
});

test("the last good one is in force after a restart, without anyone to ask", async () => {
  await using made = await makeStore();
  await scripted(made).offer(3, { colour: "blue" });
  await made.reopen();
  const { restore, applied, desired } = scripted(made);
  expect(await restore()).toBe(true);
  expect(applied).toEqual([{ colour: "blue", version: 3 }]);
  expect(desired.version).toBe(3);
});

test("without any there is nothing to restore, and health says so", async () => {
  await using made = await makeStore();
  const { restore, desired } = scripted(made);
  expect(await restore()).toBe(false);
  expect(desired.check()).toMatchObject({ status: "warning" });
});

test.each([
  ["an unknown key", { colour: "blue", size: 1 }, "configuration-invalid", /size: unknown key/],
  ["a wrong type", { colour: 1 }, "configuration-invalid", /^colour: /],
  ["what the service cannot apply", { colour: "red" }, "internal", /its log says why/],
])(
  "%s is refused with its version and leaves the last good one in force",
  async (_what, configuration, code, message) => {
    await using made = await makeStore();
    const { desired, offer, applied } = scripted(made);
    await offer(1, { colour: "blue" });
    const outcome = await offer(2, configuration);
    expect(outcome).toMatchObject({ version: 2, state: "refused", error: { code } });
    expect(outcome.state === "refused" && outcome.error.message).toMatch(message);
    expect(outcome.state === "refused" && outcome.error.message).not.toContain("secret");
    expect(desired.version).toBe(1);
    expect(applied).toHaveLength(1);
    const remedy = expect.stringContaining("has to be above the one in force");
    expect(desired.check()).toMatchObject({ status: "warning", remedy });
    expect(await events(made)).toEqual(["configuration.applied", "configuration.refused"]);
    await offer(3, { colour: "green" });
    expect(desired.check().status).toBe("healthy");
  },
);

test("a first configuration that is refused makes the service unhealthy", async () => {
  await using made = await makeStore();
  const { desired, offer } = scripted(made);
  await offer(1, {});
  expect(desired.check().status).toBe("unhealthy");
});

test("an older version, or the same with other content, is refused; the same again is not", async () => {
  await using made = await makeStore();
  const { offer, applied, desired } = scripted(made);
  await offer(2, { colour: "blue" });
  const older = { state: "refused", error: { code: "configuration-older" } };
  expect(await offer(1, { colour: "green" })).toMatchObject(older);
  expect(await offer(2, { colour: "green" })).toMatchObject(older);
  expect(desired.check().status).toBe("warning");
  expect(await offer(2, { colour: "blue" })).toEqual({ version: 2, state: "applied" });
  expect(desired.check().status).toBe("healthy");
  expect(applied).toHaveLength(1);
});

test("an older version is refused after a restart as well", async () => {
  await using made = await makeStore();
  await scripted(made).offer(5, { colour: "blue" });
  const { restore, offer } = scripted(made);
  await restore();
  expect(await offer(4, { colour: "green" })).toMatchObject({ state: "refused" });
});

test("offers are taken one after the other", async () => {
  await using made = await makeStore();
  const { offer, applied, desired } = scripted(made);
  const outcomes = await Promise.all([1, 2, 3].map((n) => offer(n, { colour: `c${n}` })));
  expect(outcomes.map(({ state }) => state)).toEqual(["applied", "applied", "applied"]);
  expect(applied.map(({ version }) => version)).toEqual([1, 2, 3]);
  expect(desired.version).toBe(3);
});

test("a kept configuration that no longer fits makes the service unhealthy until a newer one does", async () => {
  await using made = await makeStore();
  await scripted(made).offer(1, { colour: "blue" });
  const later = new DesiredConfiguration({
    source: "connector-1",
    schema: z.strictObject({ shade: z.string() }),
    service: { applyConfiguration: async () => {} },
    store: made.store,
    clock: new FakeClock(),
  });
  await later.applyKept(async (document) => openStandalone(document, FILE));
  expect(later.check()).toMatchObject({ status: "unhealthy" });
  await later.offer({ version: 2, configuration: { shade: "dark" }, document: "d" });
  expect(later.check()).toMatchObject({ status: "healthy" });
});

test("another enrolment does not inherit the configuration of the one before", async () => {
  await using made = await makeStore();
  await scripted(made).offer(9, { colour: "blue" });
  const other = new DesiredConfiguration({
    source: "connector-2",
    schema,
    service: { applyConfiguration: async () => {} },
    store: made.store,
    clock: new FakeClock(),
  });
  expect(await other.applyKept(async (document) => openStandalone(document, FILE))).toBe(false);
  const outcome = await other.offer({ version: 1, configuration: { colour: "x" }, document: "d" });
  expect(outcome.state).toBe("applied");
});

test("a standalone file is applied at once and whenever it is replaced", async () => {
  await using made = await makeStore();
  using folder = temporaryFolder();
  const file = join(folder.path, FILE);
  const write = (content: unknown) => {
    writeFileSync(`${file}.new`, JSON.stringify(content));
    renameSync(`${file}.new`, file);
  };
  const { desired, applied } = scripted(made);
  write({ version: 1, configuration: { colour: "blue" } });
  await using _watch = await watchStandaloneFile(file, desired, pino({ level: "silent" }));
  expect(applied).toEqual([{ colour: "blue", version: 1 }]);

  write({ version: 2, configuration: { colour: "green" } });
  await until(() => desired.version === 2, "version 2 in force");

  write({ version: 3, configuration: { shape: 1 } });
  await until(() => desired.check().status === "warning", "the refusal of version 3");
  expect(desired.version).toBe(2);

  rmSync(file);
  await until(() => desired.check().reason.includes("cannot be read"), "the missing file");
  expect(desired.version).toBe(2);
});
