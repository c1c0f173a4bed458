import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { ChildService } from "@isthmus/suite/process/child-service";
import {
  type ConfigurationManager,
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
const DEVICES = { CM1: 7, CM2: 4 } as const;
const FIRST = DEMO_SITE.firstResourceId;
type Code = keyof typeof DEVICES;

interface Entry {
  readonly configurationManagerSite: string;
  readonly configurationManagerKey: string;
  readonly deviceName: string;
}

interface Operation {
  readonly id: string;
  readonly state: string;
  readonly configurationManagerSite: string;
}

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
const sites = new Map<Code, ConfigurationManager>();
const bridges = new Map<string, ChildService>();
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
): Promise<ChildService> {
  const own = join(folder, name);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  const configFile = join(own, "config.json");
  const health = { address: "127.0.0.1", port: 0 };
  writeFileSync(configFile, JSON.stringify({ stateFolder: "state", health, ...configuration }));
  await prepare(configFile);
  const child = await ChildService.start({
    ...{ name, entry: entryOf(service), configFile },
    ...{ stateFolder: join(own, "state"), logFile: join(own, "log") },
  });
  stack.defer(() => child.kill());
  return child;
}

async function startBridge(name: string, code: Code, port: number): Promise<void> {
  const own = join(folder, name);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  writeFileSync(join(own, "token"), TOKEN, { mode: 0o600 });
  const guardrails = {
    commands: { allow: ["health.report", "site.notify"] },
    "comgmt-bridge": {
      actions: {
        targets: { [code]: { collections: ["SMS00001"] } },
        notifications: ["refreshMachinePolicy"],
      },
    },
  };
  writeFileSync(join(own, "guardrails.json"), JSON.stringify(guardrails), { mode: 0o444 });
  const site = { url: `https://localhost:${port}`, siteCode: code, tokenFile: "token" };
  const configuration = {
    guardrailsFile: "guardrails.json",
    site: { ...site, caFile: `../${code}-ca.pem` },
  };
  const child = await start(name, "comgmt-bridge", configuration, async (configFile) => {
    const service = "comgmt-bridge";
    const of = { service, name, entry: entryOf(service), configFile };
    const connectorId = await enrolConnector(graph, of);
    const desired = { sites: [{ source: code, hotSeconds: 3, truthMinutes: 0.2 }] };
    await graph.put(`/connectors/${connectorId}/desiredConfiguration`, { configuration: desired });
  });
  bridges.set(name, child);
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

async function ended({ id, configurationManagerSite: code }: Operation): Promise<string> {
  const path = `/configurationManagerSites/${code}/clientOperations/${id}`;
  const state = async () => (await graph.get<Operation>(path)).state;
  await until(async () => !["queued", "sent", "running"].includes(await state()), id, WAIT_MS);
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

test(
  "a bridge that is killed is followed by the other one of its site, which repeats nothing; the other site goes on",
  async () => {
    expect(await ended(await notify("CM1", FIRST + 2))).toBe("completed");
    await bridges.get("first")?.kill();
    const during = await notify("CM2", FIRST + 2);
    const later = await notify("CM1", FIRST + 3);
    expect([await ended(during), await ended(later)]).toEqual(["completed", "completed"]);
    expect(await executionsOf(FIRST + 2)).toEqual({ CM1: 1, CM2: 1 });
    expect(await executionsOf(FIRST + 3)).toEqual({ CM1: 1, CM2: 0 });
    expect([await hasAll("CM1"), await hasAll("CM2")]).toEqual([true, true]);
  },
  TEST_MS,
);
