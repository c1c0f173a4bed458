import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { ChildService, type ServiceLaunch } from "@isthmus/suite/process/child-service";
import {
  type ConfigurationManager,
  DEMO_SCRIPT_SHA256,
  DEMO_SITE,
  startConfigurationManager,
} from "@isthmus/suite/process/configuration-manager";
import { enrolConnector } from "@isthmus/suite/process/enrol-connector";
import { GraphClient } from "@isthmus/suite/process/graph-client";
import { afterAll, beforeAll, expect, test } from "vitest";

/** Two sites whose devices have the same ResourceIDs, one control plane, and for the first site a second bridge that waits. */

const WAIT_MS = 150_000;
/** Of which a bridge that follows another needs over a minute, until the lease has ended. */
const TEST_MS = 4 * WAIT_MS;
const TOKEN = "two-sites-token";
const DEVICES = { CM1: 9, CM2: 7 } as const;
const FIRST = DEMO_SITE.firstResourceId;
type Code = keyof typeof DEVICES;

/** A device or a collection; a collection's key is `key`. */
interface Entry {
  readonly id: string;
  readonly key?: string;
  readonly configurationManagerSite: Code;
  readonly configurationManagerKey: string;
  readonly deviceName: string;
}

interface SiteEvent {
  readonly event: string;
  readonly kind: string | null;
  readonly recordedDateTime: string;
  readonly figures: unknown;
}

interface Operation {
  readonly id: string;
  readonly state: string;
  readonly configurationManagerSite: string;
}

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
const sites = new Map<Code, ConfigurationManager>();
const launches = new Map<string, ServiceLaunch>();
const running = new Map<string, ChildService>();
let folder: string;
let graph: GraphClient;

const entryOf = (service: string) =>
  new URL(`../../${service}/src/main.ts`, import.meta.url).pathname;

beforeAll(async () => {
  folder = stack.use(temporaryFolder()).path;
  const ports = new Map<Code, number>();
  for (const [code, devices] of Object.entries(DEVICES) as [Code, number][]) {
    const port = await freePort();
    ports.set(code, port);
    const caFile = join(folder, `${code}-ca.pem`);
    // Of seeds of their own: the machines are others, under the same numbers.
    const given = { siteCode: code, devices, seed: devices, onlineShare: 1 };
    sites.set(
      code,
      stack.use(await startConfigurationManager({ port, token: TOKEN, caFile, given })),
    );
  }
  const cloudPort = await freePort();
  await start("control-plane", "control-plane", {
    listen: { address: "127.0.0.1", port: cloudPort },
    publicUrl: `https://localhost:${cloudPort}`,
    tls: { names: ["localhost"] },
  });
  const state = join(folder, "control-plane", "state");
  graph = await GraphClient.signIn({
    url: new URL(`https://localhost:${cloudPort}`),
    authority: readFileSync(join(state, "ca.pem"), "utf8"),
    userName: "admin",
    password: readFileSync(join(state, "initial-admin-password"), "utf8").trim(),
  });
  for (const [name, code] of [
    ["first", "CM1"],
    ["other", "CM2"],
    ["second", "CM1"],
  ] as const) {
    await startBridge(name, code, ports.get(code) ?? 0);
    if (name !== "second") await until(() => hasAll(code), `all devices of ${code}`, WAIT_MS);
  }
}, TEST_MS);

async function start(
  name: string,
  service: string,
  configuration: Readonly<Record<string, unknown>>,
  prepare: (configFile: string) => Promise<void> = async () => {},
): Promise<void> {
  const own = join(folder, name);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  const configFile = join(own, "config.json");
  const health = { address: "127.0.0.1", port: 0 };
  writeFileSync(configFile, JSON.stringify({ stateFolder: "state", health, ...configuration }));
  await prepare(configFile);
  launches.set(name, {
    ...{ name, entry: entryOf(service), configFile },
    ...{ stateFolder: join(own, "state"), logFile: join(own, "log") },
  });
  await launch(name);
}

/** Also again, after it was killed. */
async function launch(name: string): Promise<void> {
  const of = launches.get(name);
  if (of === undefined) throw new Error(`there is no ${name}`);
  const child = await ChildService.start(of);
  stack.defer(() => child.kill());
  running.set(name, child);
}

async function startBridge(name: string, code: Code, port: number): Promise<void> {
  const own = join(folder, name);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  writeFileSync(join(own, "token"), TOKEN, { mode: 0o600 });
  const guardrails = {
    commands: { allow: ["health.report", "site.notify", "site.script"] },
    "comgmt-bridge": {
      actions: {
        targets: { [code]: { collections: ["SMS00001"] } },
        notifications: ["refreshMachinePolicy"],
        scripts: [{ scriptGuid: DEMO_SITE.script.guid, version: "1", sha256: DEMO_SCRIPT_SHA256 }],
      },
    },
  };
  writeFileSync(join(own, "guardrails.json"), JSON.stringify(guardrails), { mode: 0o444 });
  const site = { url: `https://localhost:${port}`, siteCode: code, tokenFile: "token" };
  const configuration = {
    guardrailsFile: "guardrails.json",
    site: { ...site, caFile: `../${code}-ca.pem` },
  };
  await start(name, "comgmt-bridge", configuration, async (configFile) => {
    const service = "comgmt-bridge";
    const of = { service, name, entry: entryOf(service), configFile };
    const connectorId = await enrolConnector(graph, of);
    const desired = { sites: [{ source: code, hotSeconds: 3, truthMinutes: 0.2 }] };
    await graph.put(`/connectors/${connectorId}/desiredConfiguration`, { configuration: desired });
  });
}

async function devicesOf(code: Code): Promise<Entry[]> {
  const all = await graph.list<Entry>("/managedDevices");
  return all.filter(({ configurationManagerSite: site }) => site === code);
}

async function hasAll(code: Code): Promise<boolean> {
  return (await devicesOf(code)).length === DEVICES[code];
}

/** How often the device of each site has done it. */
async function executionsOf(resourceId: number): Promise<Record<Code, number>> {
  const counts = { CM1: 0, CM2: 0 };
  for (const [code, site] of sites) {
    const all = (await site.ask("executions")) as readonly { readonly resourceId: number }[];
    counts[code] = all.filter((one) => one.resourceId === resourceId).length;
  }
  return counts;
}

const notify = (code: Code, resourceId: number) =>
  until(
    () =>
      graph
        .post<Operation>(`/configurationManagerSites/${code}/clientOperations`, {
          target: { resourceIds: [resourceId] },
          notification: "refreshMachinePolicy",
        })
        // While one bridge takes over from another.
        .catch((error: Error) => {
          if (!error.message.includes("site-unattended")) throw error;
          return undefined;
        }),
    "a bridge at the site",
    WAIT_MS,
  );

const operationOf = ({ id, configurationManagerSite: code }: Operation) =>
  graph.get<Operation>(`/configurationManagerSites/${code}/clientOperations/${id}`);

async function ended(operation: Operation, withinMs = WAIT_MS): Promise<string> {
  const state = async () => (await operationOf(operation)).state;
  const isOver = async () => !["queued", "sent", "running"].includes(await state());
  await until(isOver, operation.id, withinMs);
  return await state();
}

test(
  "devices under one ResourceID stay two, each with what its own site says",
  async () => {
    const [one, other] = [await devicesOf("CM1"), await devicesOf("CM2")];
    const keys = (entries: readonly Entry[]) =>
      entries.map(({ configurationManagerKey: key }) => Number(key)).toSorted((a, b) => a - b);
    expect(keys(one)).toEqual(Array.from({ length: DEVICES.CM1 }, (_, at) => FIRST + at));
    expect(keys(other)).toEqual(keys(one).slice(0, DEVICES.CM2));
    await sites.get("CM2")?.ask("change", { kind: "online", resourceId: FIRST, isOnline: false });
    const isOnline = async (code: Code) => {
      const found = (await devicesOf(code)).find(
        ({ configurationManagerKey: key }) => Number(key) === FIRST,
      );
      return (found as Readonly<Record<string, unknown>> | undefined)?.["isOnline"];
    };
    const before = await isOnline("CM1");
    await until(async () => (await isOnline("CM2")) === false, "it is offline at CM2", WAIT_MS);
    expect(await isOnline("CM1")).toBe(before);
  },
  TEST_MS,
);

test(
  "an action on a device of one site is done there alone, and once",
  async () => {
    const operation = await notify("CM2", FIRST + 1);
    expect(operation.configurationManagerSite).toBe("CM2");
    expect(await ended(operation)).toBe("completed");
    expect(await executionsOf(FIRST + 1)).toEqual({ CM1: 0, CM2: 1 });
  },
  TEST_MS,
);

/** Asks for an action whose request the site holds: it is done after a while, or never. */
async function asHeld(
  code: Code,
  fault: { readonly kind: "slow" | "hang"; readonly ms?: number },
  ask: () => Promise<Operation>,
): Promise<Operation> {
  const site = sites.get(code);
  await site?.ask("fault", { method: "POST", path: "InitiateClientOperation", fault });
  const operation = await ask();
  const isAsked = async () => {
    const all = (await site?.ask("requests")) as readonly { readonly fault?: string }[];
    return all.some((request) => request.fault === fault.kind);
  };
  await until(isAsked, `the site's ${fault.kind}`, WAIT_MS);
  return operation;
}

const runScript = (code: Code, resourceId: number) =>
  graph.post<Operation>(`/configurationManagerSites/${code}/scripts/${DEMO_SITE.script.guid}/run`, {
    target: { resourceIds: [resourceId] },
    ...{ version: "1", sha256: DEMO_SCRIPT_SHA256 },
  });

/** Of which the killed bridge never heard whether it reached the site. */
let lost: Operation;

test(
  "a bridge that is killed in the middle of actions ends them once it is back, each done once and at its own site",
  async () => {
    const site = sites.get("CM2");
    // It is offline, so the site has it and the device does not.
    const waiting = await notify("CM2", FIRST);
    await until(async () => (await operationOf(waiting)).state === "running", "it waits", WAIT_MS);
    const slow = await asHeld("CM2", { kind: "slow", ms: 20_000 }, () => notify("CM2", FIRST + 4));
    lost = await asHeld("CM2", { kind: "hang" }, () => runScript("CM2", FIRST + 5));
    await running.get("other")?.kill();
    await site?.ask("change", { kind: "online", resourceId: FIRST, isOnline: true });
    // Before the site has done what it was slow with.
    await launch("other");
    const elsewhere = await notify("CM1", FIRST + 4);
    for (const operation of [waiting, slow, elsewhere]) {
      expect(await ended(operation)).toBe("completed");
    }
    expect(await executionsOf(FIRST)).toEqual({ CM1: 0, CM2: 1 });
    expect(await executionsOf(FIRST + 4)).toEqual({ CM1: 1, CM2: 1 });
  },
  TEST_MS,
);

test(
  "a bridge that is killed is followed by the other one of its site, which repeats nothing; the other site goes on",
  async () => {
    expect(await ended(await notify("CM1", FIRST + 2))).toBe("completed");
    await running.get("first")?.kill();
    const during = await notify("CM2", FIRST + 2);
    const later = await notify("CM1", FIRST + 3);
    expect([await ended(during), await ended(later)]).toEqual(["completed", "completed"]);
    expect(await executionsOf(FIRST + 2)).toEqual({ CM1: 1, CM2: 1 });
    expect(await executionsOf(FIRST + 3)).toEqual({ CM1: 1, CM2: 0 });
    expect([await hasAll("CM1"), await hasAll("CM2")]).toEqual([true, true]);
  },
  TEST_MS,
);

test(
  "one name, ResourceID and CollectionID at both sites are two devices and two collections, and each site agrees with what is told of it",
  async () => {
    const [resourceId, key, name] = [FIRST + 6, "TWIN0001", "TWIN"];
    const members = { CM1: [FIRST, resourceId], CM2: [resourceId] };
    for (const [code, site] of sites) {
      await site.ask("change", { kind: "rename", resourceId, name });
      await site.ask("change", { kind: "collection", id: key, name, members: members[code] });
    }
    const sitesOf = (entries: readonly Entry[]) =>
      entries.map(({ configurationManagerSite: code }) => code).toSorted();
    const twins = async () =>
      (await graph.list<Entry>("/managedDevices")).filter((each) => each.deviceName === name);
    await until(async () => (await twins()).length === 2, "the name at both", WAIT_MS);
    const collections = async () =>
      (await graph.list<Entry>("/configurationManagerCollections")).filter((of) => of.key === key);
    await until(async () => (await collections()).length === 2, "both collections", WAIT_MS);
    expect([sitesOf(await twins()), sitesOf(await collections())]).toEqual([
      ["CM1", "CM2"],
      ["CM1", "CM2"],
    ]);
    for (const { id, configurationManagerSite: code } of await collections()) {
      const found = async () =>
        (await graph.list<Entry>(`/configurationManagerCollections/${id}/members`))
          .map((each) => [each.configurationManagerSite, Number(each.configurationManagerKey)])
          .toSorted();
      const own = members[code].map((member) => [code, member]);
      await until(async () => (await found()).length >= own.length, `members at ${code}`, WAIT_MS);
      expect(await found()).toEqual(own);
    }
    const path = `/configurationManagerCollections/${key}/members`;
    await expect(graph.get(path)).rejects.toThrow("id-ambiguous");
    await sites.get("CM2")?.ask("change", { kind: "rename", resourceId, name: "ALONE" });
    await until(async () => (await twins()).length === 1, "another name at CM2", WAIT_MS);
    expect(sitesOf(await twins())).toEqual(["CM1"]);
    for (const code of sites.keys()) await agrees(code, new Date().toISOString());
  },
  TEST_MS,
);

/** The site's digest of devices was compared since then, and none ever differed. */
async function agrees(code: Code, since: string): Promise<void> {
  const digests = async () => {
    const all = await graph.list<SiteEvent>(`/configurationManagerSites/${code}/events`);
    return all.filter(({ event }) => /^(digest|bucket)\./.test(event));
  };
  const isCompared = async () =>
    (await digests()).some(({ kind, recordedDateTime: at }) => kind === "device" && at > since);
  await until(isCompared, `a digest of ${code}`, WAIT_MS);
  const told = await digests();
  expect(told.filter(({ event }) => event !== "digest.same")).toEqual([]);
  const newest = told.find(({ kind }) => kind === "device");
  expect(newest?.figures).toEqual({ there: DEVICES[code], here: DEVICES[code], buckets: 0 });
}

test(
  "a script of which nobody knows whether it reached the site is not asked for again, and its device's end says so",
  async () => {
    // The site is given three minutes to show it.
    expect(await ended(lost, 2 * WAIT_MS)).toBe("completed");
    const states = `/configurationManagerClientOperations/${lost.id}/deviceStates`;
    expect(await graph.list(states)).toMatchObject([
      { state: "unknown", reason: expect.stringMatching(/never asked for twice/) },
    ]);
    expect(await executionsOf(FIRST + 5)).toEqual({ CM1: 0, CM2: 0 });
  },
  TEST_MS,
);
