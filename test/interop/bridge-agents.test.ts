import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { SECTIONS } from "@isthmus/comgmt-bridge/agents/agent-records";
import { AgentSource } from "@isthmus/comgmt-bridge/agents/agent-source";
import { parseInventoryDocument } from "@isthmus/comgmt-bridge/protocol/inventory-document/inventory-document";
import { rememberingSink } from "@isthmus/comgmt-bridge/testing/remembering-sink";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";

/** The agent of Debian writes what this machine has into a folder; what we make of it, the machine's own programs say. */

const execute = promisify(execFile);
const DAY_MS = 86_400_000;

async function inventory(context: TestContext, folder: string): Promise<string> {
  const agent = peer("fusioninventory", context);
  await execute(agent, [`--local=${folder}`], { maxBuffer: 16_777_216 });
  const [name, ...others] = readdirSync(folder).filter((each) => each.endsWith(".ocs"));
  expect(others).toEqual([]);
  return join(folder, name ?? "nothing was written");
}

/** Looks into the folder once, a day later. */
async function lookInto(folder: string) {
  const sink = rememberingSink();
  const ending = new AbortController();
  const clock = { now: () => Date.now() + DAY_MS };
  const source = new AgentSource(
    {
      ...{ name: "agents", folder, maxAgeMs: 30 * DAY_MS, everyMs: 1_000, scanMs: 1_000 },
      ...{ settleMs: 1_000, incompleteMs: 1_000 },
      limits: { maxFileBytes: 16_777_216, maxFiles: 100, maxRejected: 10 },
    },
    {
      ...{ clock, onFault: () => {} },
      pause: async () => {
        ending.abort(new Error("enough"));
        ending.signal.throwIfAborted();
      },
    },
  );
  await expect(source.run(sink, ending.signal)).rejects.toThrow("enough");
  expect(source.state).toMatchObject({ failure: undefined, stuck: 0 });
  return sink;
}

test("the agent's document becomes a device with what the machine has", async (context) => {
  peer("fusioninventory", context);
  const { stdout } = await execute("dpkg", ["-l"], {
    maxBuffer: 16_777_216,
  });
  const installed = stdout.split("\n").filter((line) => line.startsWith("ii ")).length;
  using folder = temporaryFolder();
  const file = await inventory(context, folder.path);
  const sink = await lookInto(folder.path);
  const [[key, facets] = ["", {}], ...others] = sink.records("device");
  expect(others).toEqual([]);
  expect(`${key}.ocs`).toBe(file.slice(folder.path.length + 1));
  const of = facets as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  expect(of["identity"]).toMatchObject({ deviceId: key, name: hostname().split(".")[0] });
  const [, version] =
    /^VERSION_ID="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8")) ?? [];
  expect(of["stable"]?.["osVersion"]).toContain(version ?? "");
  expect(of["stable"]?.["clientVersion"]).toMatch(/^FusionInventory-Agent_v2/);
  expect(Date.parse(String(of["volatile"]?.["lastSeenAt"]))).toBeCloseTo(
    statSync(file).mtimeMs,
    -2,
  );
  expect(Array.isArray(of["SOFTWARES"]) && of["SOFTWARES"].length).toBeGreaterThanOrEqual(
    installed,
  );
  expect(of["SOFTWARES"]).toContainEqual(
    expect.objectContaining({ NAME: "fusioninventory-agent" }),
  );
  expect(of).not.toHaveProperty("ENVS");
  const known = new Set<string>([...SECTIONS, "identity", "stable", "volatile"]);
  expect(Object.keys(of).filter((name) => !known.has(name))).toEqual([]);
  // An entry of the stream has to have room for each of them.
  for (const value of Object.values(of)) expect(JSON.stringify(value).length).toBeLessThan(253_952);
});

test("every section that the agent writes is kept or left out on purpose", async (context) => {
  using folder = temporaryFolder();
  const file = await inventory(context, folder.path);
  const { sections } = parseInventoryDocument(readFileSync(file));
  const leftOut = [
    "ACCESSLOG",
    "ENVS",
    "LICENSEINFOS",
    "PROCESSES",
    "RUDDER",
    "USERS",
    "VERSIONPROVIDER",
  ];
  const known = new Set<string>([...SECTIONS, ...leftOut]);
  expect([...sections.keys()].filter((name) => !known.has(name))).toEqual([]);
  expect([...sections.keys()]).toEqual(expect.arrayContaining(["HARDWARE", "OPERATINGSYSTEM"]));
});

test("a second document of the same machine differs in what moves, and in nothing else", async (context) => {
  using folder = temporaryFolder();
  await inventory(context, folder.path);
  const before = await lookInto(folder.path);
  const file = await inventory(context, folder.path);
  const after = await lookInto(folder.path);
  const [key = ""] = [...after.records("device").keys()];
  expect(`${key}.ocs`).toBe(file.slice(folder.path.length + 1));
  const [one, other] = [before, after].map((sink) => sink.records("device").get(key) ?? {});
  const differing = Object.keys(other ?? {}).filter(
    (name) => JSON.stringify(one?.[name]) !== JSON.stringify(other?.[name]),
  );
  expect(["identity", "stable", "SOFTWARES"].filter((name) => differing.includes(name))).toEqual(
    [],
  );
});
