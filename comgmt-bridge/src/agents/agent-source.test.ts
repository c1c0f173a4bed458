import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { type RememberingSink, rememberingSink } from "../testing/remembering-sink.ts";
import { AgentSource, type AgentSourceSettings } from "./agent-source.ts";

const MKFIFO = "/usr/bin/mkfifo";
const NOW = Date.UTC(2026, 5, 1);
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const xml = (deviceId: string, content = "<HARDWARE><NAME>pc</NAME></HARDWARE>") =>
  `<REQUEST><CONTENT>${content}</CONTENT><DEVICEID>${deviceId}</DEVICEID><QUERY>INVENTORY</QUERY></REQUEST>`;

/** A folder of documents, and a source that looks into it when the test says so. */
function lab(change: Partial<AgentSourceSettings> = {}) {
  const temporary = temporaryFolder();
  const folder = temporary.path;
  const clock = new FakeClock(NOW);
  const sink = rememberingSink();
  const settings: AgentSourceSettings = {
    ...{
      name: "agents",
      folder,
      maxAgeMs: 30 * DAY_MS,
      everyMs: MINUTE_MS,
      scanMs: 60 * MINUTE_MS,
    },
    ...{ settleMs: 10_000, incompleteMs: 15 * MINUTE_MS },
    limits: { maxFileBytes: 65_536, maxFiles: 100, maxRejected: 10 },
    ...change,
  };
  const faults: string[] = [];
  let next: PromiseWithResolvers<void> | undefined;
  let looked = Promise.withResolvers<void>();
  const source = new AgentSource(settings, {
    clock,
    onFault: (code) => faults.push(code),
    pause: async (_, signal) => {
      signal.throwIfAborted();
      const waiting = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => waiting.reject(signal.reason), { once: true });
      next = waiting;
      looked.resolve();
      await waiting.promise;
    },
  });
  const ending = new AbortController();
  let running: Promise<void> | undefined;
  const path = (name: string) => join(folder, name);
  return {
    ...{ folder, clock, sink, source, path, faults },
    /** Written so long ago, by the clock of the test. */
    write(name: string, text: string, ageMs = MINUTE_MS) {
      writeFileSync(path(name), text);
      const at = (clock.now() - ageMs) / 1_000;
      utimesSync(path(name), at, at);
    },
    async look() {
      looked = Promise.withResolvers();
      if (running === undefined) {
        running = source.run(sink, ending.signal);
        running.catch((error: unknown) => looked.reject(error));
      } else next?.resolve();
      await looked.promise;
    },
    devices: () => [...sink.records("device").keys()].sort(),
    async [Symbol.asyncDispose]() {
      ending.abort(new Error("enough"));
      await running?.catch(() => {});
      temporary[Symbol.dispose]();
    },
  };
}

const facetsOf = (sink: RememberingSink, key: string) =>
  sink.records("device").get(key) as Readonly<Record<string, unknown>>;

test("each document is a device, told once as long as it stays the same", async () => {
  await using it = lab();
  it.write(
    "pc-1.ocs",
    xml("pc-1", "<HARDWARE><NAME>PC1</NAME><UUID>u</UUID></HARDWARE><ENVS><KEY>S</KEY></ENVS>"),
  );
  it.write(
    "pc-2.json",
    JSON.stringify({ action: "inventory", deviceid: "pc-2", content: { bios: { ssn: "42" } } }),
  );
  await it.look();
  expect(it.devices()).toEqual(["pc-1", "pc-2"]);
  expect(facetsOf(it.sink, "pc-1")).toEqual({
    identity: { deviceId: "pc-1", name: "PC1", uuid: "u" },
    stable: {},
    volatile: { lastSeenAt: new Date(NOW - MINUTE_MS).toISOString() },
    HARDWARE: [{ NAME: "PC1", UUID: "u" }],
  });
  expect(facetsOf(it.sink, "pc-2")).toMatchObject({ identity: { serialNumber: "42" } });
  expect(it.sink.scans).toEqual([{ kind: "device", missing: 0 }]);
  await it.look();
  expect(it.sink.rounds).toHaveLength(1);
  it.write("pc-1.ocs", xml("pc-1", "<HARDWARE><NAME>NEW</NAME></HARDWARE>"), 30_000);
  await it.look();
  expect(facetsOf(it.sink, "pc-1")).toMatchObject({ identity: { name: "NEW" } });
  expect(it.sink.rounds).toHaveLength(2);
});

test("what is secret, passes or is of no use is left out", async () => {
  await using it = lab();
  const hardware = "<NAME>a</NAME><WINPRODKEY>KEY</WINPRODKEY><UPTIME>1</UPTIME>";
  const software = "<NAME>b</NAME><VERSION>1</VERSION><UNINSTALL_STRING>x</UNINSTALL_STRING>";
  const licence = "<LICENSEINFOS><KEY>KEY</KEY></LICENSEINFOS>";
  it.write(
    "pc-1.ocs",
    xml("pc-1", `<HARDWARE>${hardware}</HARDWARE><SOFTWARES>${software}</SOFTWARES>${licence}`),
  );
  await it.look();
  const facets = facetsOf(it.sink, "pc-1");
  expect(JSON.stringify(facets)).not.toContain("KEY");
  expect(facets).toMatchObject({
    HARDWARE: [{ NAME: "a" }],
    SOFTWARES: [{ NAME: "b", VERSION: "1" }],
  });
});

test("a file that is being written is waited for, and no scan ends without it", async () => {
  await using it = lab();
  it.write("pc-1.ocs", xml("pc-1"), 9_999);
  it.write("pc-2.ocs", xml("pc-2").slice(0, 60), MINUTE_MS);
  await it.look();
  expect([it.devices(), it.sink.scans]).toEqual([[], []]);
  it.clock.advance(1);
  await it.look();
  expect([it.devices(), it.sink.scans]).toEqual([["pc-1"], []]);
  it.write("pc-2.ocs", xml("pc-2"));
  await it.look();
  expect([it.devices(), it.sink.scans.length]).toEqual([["pc-1", "pc-2"], 1]);
});

test("one that stays half is rejected with its reason, once the time for it is over", async () => {
  await using it = lab();
  it.write("pc-2.ocs", xml("pc-2").slice(0, 60), 15 * MINUTE_MS - 1);
  await it.look();
  expect(existsSync(it.path("pc-2.ocs"))).toBe(true);
  it.clock.advance(1);
  await it.look();
  expect(readdirSync(it.folder)).toEqual(["rejected"]);
  expect(readFileSync(it.path("rejected/pc-2.ocs.reason"), "utf8")).toMatch(/no whole XML/);
});

test("only regular files are read: no link, no folder, no pipe, none that is too large", async () => {
  await using it = lab();
  const secret = it.path("secret");
  writeFileSync(secret, xml("stolen"));
  symlinkSync(secret, it.path("link.ocs"));
  symlinkSync("/nowhere", it.path("broken.json"));
  mkdirSync(it.path("folder.xml"));
  expect(spawnSync(MKFIFO, [it.path("pipe.ocs")]).status).toBe(0);
  it.write("large.ocs", xml("large", `<BIOS><A>${"x".repeat(65_536)}</A></BIOS>`));
  it.write(".hidden.ocs", xml("hidden"));
  it.write("pc-1.ocs.part", xml("pc-1"));
  it.clock.advance(Date.now() + 3_600_000 - NOW);
  await it.look();
  expect(it.devices()).toEqual([]);
  const rejected = readdirSync(it.path("rejected")).filter((name) => !name.endsWith(".reason"));
  expect(rejected.sort()).toEqual([
    "broken.json",
    "folder.xml",
    "large.ocs",
    "link.ocs",
    "pipe.ocs",
  ]);
  expect(readFileSync(it.path("rejected/large.ocs.reason"), "utf8")).toMatch(/at most 65536/);
  expect(readFileSync(secret, "utf8")).toBe(xml("stolen"));
});

test("a file at the limit is taken", async () => {
  await using it = lab();
  const filled = (size: number) => {
    const around = xml("pc-1", "<BIOS><A></A></BIOS>").length;
    return xml("pc-1", `<BIOS><A>${"x".repeat(size - around)}</A></BIOS>`);
  };
  it.write("pc-1.ocs", filled(65_536));
  await it.look();
  expect(it.devices()).toEqual(["pc-1"]);
});

test("a device whose document is gone or old is missing from the next scan", async () => {
  await using it = lab();
  for (const name of ["pc-1", "pc-2", "pc-3"]) it.write(`${name}.ocs`, xml(name));
  await it.look();
  rmSync(it.path("pc-2.ocs"));
  await it.look();
  expect(it.devices()).toEqual(["pc-1", "pc-2", "pc-3"]);
  it.clock.advance(60 * MINUTE_MS);
  await it.look();
  expect([it.devices(), it.sink.scans.at(-1)?.missing]).toEqual([["pc-1", "pc-3"], 1]);
  it.clock.advance(29 * DAY_MS);
  it.write("pc-1.ocs", xml("pc-1"));
  it.clock.advance(DAY_MS);
  await it.look();
  expect(it.devices()).toEqual(["pc-1"]);
  expect(it.source.state).toMatchObject({ devices: 1, failure: undefined });
});

test("of two documents of a device the newer counts, and the older where that goes", async () => {
  await using it = lab();
  it.write("a.ocs", xml("pc-1", "<HARDWARE><NAME>NEW</NAME></HARDWARE>"), MINUTE_MS);
  it.write("b.ocs", xml("pc-1", "<HARDWARE><NAME>OLD</NAME></HARDWARE>"), DAY_MS);
  await it.look();
  expect(facetsOf(it.sink, "pc-1")).toMatchObject({ identity: { name: "NEW" } });
  rmSync(it.path("a.ocs"));
  await it.look();
  await it.look();
  expect(facetsOf(it.sink, "pc-1")).toMatchObject({ identity: { name: "OLD" } });
});

test("what cannot be put away stays, is counted and not read again", async () => {
  await using it = lab({ limits: { maxFileBytes: 65_536, maxFiles: 100, maxRejected: 1 } });
  for (const name of ["a", "b"]) it.write(`${name}.json`, "{}", DAY_MS);
  await it.look();
  expect(readdirSync(it.path("rejected"))).toHaveLength(2);
  expect(readdirSync(it.folder).sort()).toEqual(["b.json", "rejected"]);
  expect([it.source.state.stuck, it.faults]).toEqual([1, ["agents-rejected", "agents-rejected"]]);
  await it.look();
  expect(it.faults).toHaveLength(2);
});

test("a link in place of the folder for rejected files leads nowhere", async () => {
  await using it = lab();
  using other = temporaryFolder();
  symlinkSync(other.path, it.path("rejected"));
  it.write("a.json", "{}", DAY_MS);
  await it.look();
  expect([readdirSync(other.path), it.source.state.stuck]).toEqual([[], 1]);
});

test("a folder that is away or has too many documents ends no scan, and is said", async () => {
  await using away = lab({ folder: "/nowhere/at/all" });
  await away.look();
  expect(away.source.state.failure).toMatchObject({ code: "agents-folder" });
  await using full = lab({ limits: { maxFileBytes: 65_536, maxFiles: 2, maxRejected: 1 } });
  for (const name of ["a", "b"]) full.write(`${name}.ocs`, xml(name));
  await full.look();
  expect([full.devices(), full.source.state.failure]).toEqual([["a", "b"], undefined]);
  full.write("c.ocs", xml("c"));
  await full.look();
  expect(full.source.state.failure).toMatchObject({ code: "agents-too-many" });
  expect(full.sink.scans).toHaveLength(1);
});

test("records are read by their keys when somebody asks", async () => {
  await using it = lab();
  for (const name of ["pc-1", "pc-2"]) it.write(`${name}.ocs`, xml(name));
  await it.look();
  rmSync(it.path("pc-2.ocs"));
  const { records, facets } = await it.source.read("device", ["pc-1", "pc-2", "pc-3"]);
  expect(records.map(({ key }) => key)).toEqual(["pc-1"]);
  expect(facets).toContain("SOFTWARES");
  expect((await it.source.read("user", ["pc-1"])).records).toEqual([]);
});

test.each([
  ["a year ahead", -365 * DAY_MS],
  // tmpfs and others keep times for which there is no date.
  ["in the year 300,000", -9.3e15],
])("a document dated %s is neither the newest nor the last for good", async (_, ageMs) => {
  await using it = lab();
  it.write("a.ocs", xml("pc-1", "<HARDWARE><NAME>DATED</NAME></HARDWARE>"), ageMs);
  it.write("b.ocs", xml("pc-2"));
  await it.look();
  expect(it.devices()).toEqual(["pc-1", "pc-2"]);
  it.clock.advance(2 * MINUTE_MS);
  it.write("c.ocs", xml("pc-1", "<HARDWARE><NAME>TRUE</NAME></HARDWARE>"), MINUTE_MS);
  await it.look();
  expect(facetsOf(it.sink, "pc-1")["identity"]).toMatchObject({ name: "TRUE" });
  it.clock.advance(31 * DAY_MS);
  await it.look();
  expect(it.devices()).toEqual([]);
});
