import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { DirectorySource } from "@isthmus/comgmt-bridge/directory/directory-source";
import { DomainReader } from "@isthmus/comgmt-bridge/directory/domain-reader";
import {
  type RememberingSink,
  rememberingSink,
} from "@isthmus/comgmt-bridge/testing/remembering-sink";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";
import {
  COMPUTERS,
  change,
  computer,
  DAY_MS,
  GROUPS_MS,
  MAX_PAGE_SIZE,
  MEMBERS,
  type ReadDomain,
  rounds,
  settingsOf,
  startReadDomain,
} from "./samba/read-domain.ts";
import { userAttributes } from "./samba/samba-domain.ts";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

let started: Promise<ReadDomain> | undefined;
const theLab = (context: TestContext) => {
  started ??= startReadDomain(context, stack);
  return started;
};

/** What was read in one test is where the next goes on. */
let kept: RememberingSink | undefined;

test("a domain of more than 2,000 computers is read by pages that a controller gives", async (context) => {
  const lab = await theLab(context);
  const sink = rememberingSink();
  const source = await rounds(settingsOf(lab), sink);
  expect(source.state).toMatchObject({ failure: undefined, mayUseDirSync: true });
  expect(sink.records("device").size).toBe(COMPUTERS + 1);
  expect([lab.watch.mostRows, lab.watch.cut]).toEqual([MAX_PAGE_SIZE, 0]);
  const shown = await lab.domain.search(
    lab.domain.baseDn,
    "(sAMAccountName=PC-0042$)",
    "objectGUID",
    "objectSid",
  );
  const [, guid] = /objectGUID: (\S+)/.exec(shown) ?? [];
  const [, sid] = /objectSid: (\S+)/.exec(shown) ?? [];
  expect(sink.records("device").get(guid ?? "")).toMatchObject({
    identity: {
      ...{ objectGUID: guid, objectSid: sid, sAMAccountName: "PC-0042$" },
      ...{ dNSHostName: "pc-0042.corp.test" },
      distinguishedName: `CN=PC-0042,OU=Machines,${lab.domain.baseDn}`,
    },
    stable: {
      ...{ parent: `OU=Machines,${lab.domain.baseDn}`, operatingSystem: "Windows 11" },
      isEnabled: true,
      whenCreated: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    },
  });
  expect(sink.find("user", "identity", "sAMAccountName", "user-0001")).toBeDefined();
  kept = sink;
});

test("without pages the relay cuts such a search off, as a real controller would", async (context) => {
  const lab = await theLab(context);
  const settings = settingsOf(lab, { limits: { pageRows: 100_000 } });
  await using reader = await DomainReader.open(settings);
  const readAll = async () => {
    for await (const page of reader.pages("device")) expect(page).toBeDefined();
  };
  expect(await rejectedCode(readAll)).toBe("directory-unreachable");
  expect(lab.watch.cut).toBe(1);
});

test("members of a group come range by range, by what stays when they are renamed", async (context) => {
  const lab = await theLab(context);
  for (const [limits, isListed] of [
    [{ rangeValues: 10 }, true],
    [{ rangeValues: 10, maxMembers: 59 }, false],
  ] as const) {
    await using reader = await DomainReader.open(settingsOf(lab, { limits }));
    for await (const page of reader.pages("group")) {
      const found = page.find(({ facets }) => facets["identity"]?.includes('"everybody"'));
      if (found === undefined) continue;
      const members = JSON.parse(found.facets["members"] ?? "");
      expect(members.count).toBe(MEMBERS);
      const user = kept?.find("user", "identity", "sAMAccountName", "user-0007");
      if (isListed) expect(members.members).toContain(user?.key);
      else
        expect(members).toEqual({
          count: MEMBERS,
          digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        });
    }
  }
});

test("a restart goes on at its cookie: only what changed is read", async (context) => {
  const lab = await theLab(context);
  const { admin, domain } = lab;
  const { baseDn } = domain;
  const before = kept ?? rememberingSink();
  const keyOf = (name: string) =>
    before.find("device", "identity", "sAMAccountName", `${name}$`)?.key ?? "";
  const [renamed, moved, deleted, changed] = ["PC-0001", "PC-0002", "PC-0003", "PC-0004"].map(
    keyOf,
  );
  await admin.modifyDN(`CN=PC-0001,OU=Machines,${baseDn}`, `CN=PC-RENAMED,OU=Machines,${baseDn}`);
  await admin.modifyDN(`CN=PC-0002,OU=Machines,${baseDn}`, `CN=PC-0002,CN=Computers,${baseDn}`);
  await admin.del(`CN=PC-0003,OU=Machines,${baseDn}`);
  await admin.modify(
    `CN=PC-0004,OU=Machines,${baseDn}`,
    change("replace", "operatingSystemVersion", "10.0 (26100)"),
  );
  await domain.add([computer("PC-NEW")]);
  await admin.modify(
    `CN=Everybody\\, all of us,OU=People,${baseDn}`,
    change("delete", "member", `CN=user-0007,OU=Berlin,OU=People,${baseDn}`),
  );
  const sink = rememberingSink(before);
  const { searches } = lab.watch;
  await rounds(settingsOf(lab), sink);
  expect(sink.scans).toEqual([]);
  expect(lab.watch.searches - searches).toBeLessThan(20);
  const told = sink.rounds.reduce((sum, { records }) => sum + records, 0);
  expect(told).toBeLessThan(10);
  const devices = sink.records("device");
  expect(devices.get(renamed ?? "")).toMatchObject({
    identity: { distinguishedName: `CN=PC-RENAMED,OU=Machines,${baseDn}` },
  });
  expect(devices.get(moved ?? "")).toMatchObject({ stable: { parent: `CN=Computers,${baseDn}` } });
  expect(devices.get(changed ?? "")).toMatchObject({
    stable: { operatingSystem: "Windows 11", operatingSystemVersion: "10.0 (26100)" },
  });
  expect(devices.has(deleted ?? "")).toBe(false);
  expect(sink.find("device", "identity", "sAMAccountName", "PC-NEW$")).toBeDefined();
  const group = sink.find("group", "identity", "sAMAccountName", "everybody");
  expect(group?.facets["members"]?.["count"]).toBe(MEMBERS - 1);
  kept = sink;
});

test("nothing new is nothing read", async (context) => {
  const lab = await theLab(context);
  const sink = rememberingSink(kept);
  await rounds(settingsOf(lab), sink, { count: 3 });
  expect([sink.scans, sink.rounds]).toEqual([[], []]);
  kept = sink;
});

test("who is deleted is in no group, soon after; who is disabled, renamed or made anew is another matter", async (context) => {
  const lab = await theLab(context);
  const { admin, domain } = lab;
  const { baseDn } = domain;
  const people = `OU=People,${baseDn}`;
  const dnOf = (name: string) => `CN=${name},OU=Berlin,${people}`;
  const clock = new FakeClock(Date.now());
  let sink = rememberingSink(kept);
  const follow = async () => {
    sink = rememberingSink(sink);
    await rounds(settingsOf(lab), sink, { clock });
  };
  const keyOf = (kind: "user" | "group", name: string) =>
    sink.find(kind, "identity", "sAMAccountName", name)?.key ?? "";
  const members = () => {
    const { facets } = sink.find("group", "identity", "sAMAccountName", "everybody") ?? {};
    return facets?.["members"] as { readonly count: number; readonly members: readonly string[] };
  };
  await domain.add([
    {
      relativeDn: "CN=Nested,OU=People",
      attributes: { objectClass: "group", sAMAccountName: "nested" },
    },
    { relativeDn: "CN=Friend,OU=People", attributes: { objectClass: "contact" } },
  ]);
  const everybody = `CN=Everybody\\, all of us,${people}`;
  await admin.modify(
    everybody,
    change("add", "member", `CN=Nested,${people}`, `CN=Friend,${people}`),
  );
  await follow();
  const [gone, nested] = [keyOf("user", "user-0008"), keyOf("group", "nested")];
  const renamed = keyOf("user", "user-0010");
  expect(members().members).toEqual(expect.arrayContaining([gone, nested, renamed]));
  const { count } = members();

  await admin.del(dnOf("user-0008"));
  await admin.del(`CN=Nested,${people}`);
  await admin.modify(dnOf("user-0009"), change("replace", "userAccountControl", "514"));
  await admin.modifyDN(dnOf("user-0010"), `CN=Ten,OU=Berlin,${people}`);
  await domain.add([
    {
      relativeDn: "CN=user-0008,OU=Berlin,OU=People",
      attributes: userAttributes("user-0008", "Passw0rd.2"),
    },
  ]);
  await follow();
  expect(sink.scans).toEqual([]);
  expect([sink.records("user").has(gone), sink.records("group").has(nested)]).toEqual([
    false,
    false,
  ]);
  const disabled = sink.find("user", "identity", "sAMAccountName", "user-0009");
  expect(disabled?.facets["stable"]).toMatchObject({ isEnabled: false });
  expect(sink.records("user").get(renamed)).toMatchObject({ identity: { cn: "Ten" } });

  // What is deleted meanwhile puts nothing off.
  clock.advance(GROUPS_MS / 2);
  await admin.del(`CN=PC-0030,OU=Machines,${baseDn}`);
  await follow();
  expect(sink.scans).toEqual([]);
  clock.advance(GROUPS_MS / 2);
  await follow();
  expect(sink.scans).toEqual([{ kind: "group", missing: 0 }]);
  const again = keyOf("user", "user-0008");
  expect(again).not.toBe(gone);
  for (const key of [gone, nested, again]) expect(members().members).not.toContain(key);
  expect(members().members).toContain(renamed);
  expect(members().count).toBe(count - 2);
  await follow();
  expect([sink.scans, sink.rounds]).toEqual([[], []]);
  // Contacts are not read, and are members.
  await admin.del(`CN=Friend,${people}`);
  await follow();
  clock.advance(GROUPS_MS);
  await follow();
  expect(members().count).toBe(count - 3);
  await admin.modifyDN(`CN=Ten,OU=Berlin,${people}`, dnOf("user-0010"));
  await follow();
  kept = sink;
});

test("contacts that are renamed, however many, are no containers", async (context) => {
  const lab = await theLab(context);
  const people = `OU=People,${lab.domain.baseDn}`;
  const names = Array.from({ length: 21 }, (_, at) => `Contact-${at}`);
  const attributes = { objectClass: "contact" };
  await lab.domain.add(names.map((name) => ({ relativeDn: `CN=${name},OU=People`, attributes })));
  const made = rememberingSink(kept);
  await rounds(settingsOf(lab), made);
  for (const name of names) {
    await lab.admin.modifyDN(`CN=${name},${people}`, `CN=New-${name},${people}`);
  }
  const sink = rememberingSink(made);
  const { searches } = lab.watch;
  await rounds(settingsOf(lab), sink, { count: 2 });
  expect([sink.scans, sink.rounds]).toEqual([[], []]);
  expect(lab.watch.searches - searches).toBeLessThan(10);
  kept = sink;
});

test("groups that are not read any more are not read after a deletion of before", async (context) => {
  const sink = rememberingSink(kept);
  sink.cursors.set("groups-stale", String(Date.now() - DAY_MS));
  const settings = { ...settingsOf(await theLab(context)), kinds: ["device", "user"] as const };
  await rounds(settings, sink);
  expect([sink.scans, sink.rounds]).toEqual([[], []]);
});

test("what is below a container that is moved has its new name", async (context) => {
  const lab = await theLab(context);
  const { baseDn } = lab.domain;
  await lab.admin.modifyDN(`OU=Berlin,OU=People,${baseDn}`, `OU=Hamburg,OU=Machines,${baseDn}`);
  const sink = rememberingSink(kept);
  await rounds(settingsOf(lab), sink);
  expect(sink.scans).toEqual([]);
  const user = sink.find("user", "identity", "sAMAccountName", "user-0007");
  expect(user?.facets["stable"]).toMatchObject({ parent: `OU=Hamburg,OU=Machines,${baseDn}` });
  kept = sink;
});

test("a cookie that is not taken, or is too old, leads to a full read, which finds what went meanwhile", async (context) => {
  const lab = await theLab(context);
  const { admin, domain } = lab;
  let name = 10;
  for (const spoil of [
    () => `${Date.now()} ${Buffer.from("no cookie of anybody").toString("base64")}`,
    (cookie: string) => `${Date.now() - 31 * DAY_MS} ${cookie.split(" ")[1]}`,
  ]) {
    const sink = rememberingSink(kept);
    const sam = `PC-00${name}`;
    const { key = "" } = sink.find("device", "identity", "sAMAccountName", `${sam}$`) ?? {};
    expect(key).not.toBe("");
    await admin.del(`CN=${sam},OU=Machines,${domain.baseDn}`);
    name += 1;
    sink.cursors.set("dirsync", spoil(sink.cursors.get("dirsync") ?? ""));
    if (name === 12) sink.cursors.set("full-read", String(Date.now() - 2 * 3_600_000));
    await rounds(settingsOf(lab), sink, { count: 2 });
    expect(sink.scans.map(({ kind }) => kind)).toEqual(["device", "user", "group"]);
    expect(sink.scans[0]?.missing).toBe(1);
    expect(sink.records("device").has(key)).toBe(false);
    kept = sink;
  }
});

test("an account that may not use DirSync reads everything, at its own pace", async (context) => {
  const lab = await theLab(context);
  const bind = { dn: `CN=reader,CN=Users,${lab.domain.baseDn}`, password: "Passw0rd.3" };
  const clock = new FakeClock(Date.now());
  const sink = rememberingSink();
  const source = await rounds(settingsOf(lab, { bind }), sink, { clock });
  expect(source.state).toMatchObject({ failure: undefined, mayUseDirSync: false });
  expect(sink.records("device").size).toBeGreaterThan(2_000);
  const again = rememberingSink(sink);
  clock.advance(1_800_000);
  await rounds(settingsOf(lab, { bind }), again, { clock });
  expect(again.scans).toEqual([]);
  clock.advance(1_800_000);
  await rounds(settingsOf(lab, { bind }), again, { clock });
  expect(again.scans).toHaveLength(3);
});

test("the rights that the guide names are enough for DirSync, and for what was deleted", async (context) => {
  const lab = await theLab(context);
  const { baseDn, folder, tool, search } = lab.domain;
  const ldbmodify = peer("ldbmodify", context);
  const shown = await search(baseDn, "(sAMAccountName=reader)", "objectSid");
  const [, sid] = /objectSid: (\S+)/.exec(shown) ?? [];
  const right = `(OA;;CR;1131f6aa-9c07-11d1-f79f-00c04fc2dcd2;;${sid})`;
  await tool("dsacl", "set", `--objectdn=${baseDn}`, `--sddl=${right}`);
  const bind = { dn: `CN=reader,CN=Users,${baseDn}`, password: "Passw0rd.3" };
  let sink = rememberingSink();
  const source = await rounds(settingsOf(lab, { bind }), sink);
  expect(source.state).toMatchObject({ failure: undefined, mayUseDirSync: true });
  const isGone = async (name: string) => {
    const { key = "" } = sink.find("device", "identity", "sAMAccountName", `${name}$`) ?? {};
    await lab.admin.del(`CN=${name},OU=Machines,${baseDn}`);
    sink = rememberingSink(sink);
    await rounds(settingsOf(lab, { bind }), sink);
    expect(sink.scans).toEqual([]);
    return key !== "" && !sink.records("device").has(key);
  };
  expect(await isGone("PC-0020")).toBe(false);
  const owner = "O:SYG:SYD:PAI(A;;RPWPCCDCLCRCWOWDSDSW;;;SY)(A;;RPLC;;;BA)";
  const ldif = [
    ...[`dn: CN=Deleted Objects,${baseDn}`, "changetype: modify", "replace: nTSecurityDescriptor"],
    `nTSecurityDescriptor: ${owner}(A;;RPLC;;;${sid})\n`,
  ];
  const file = join(folder, "deleted-objects.ldif");
  writeFileSync(file, ldif.join("\n"));
  const database = join(folder, "dc/private/sam.ldb");
  await promisify(execFile)(ldbmodify, ["-H", database, "--controls=show_deleted:1", file]);
  expect(await isGone("PC-0021")).toBe(true);
});

test("records are read by their keys when somebody asks", async (context) => {
  const lab = await theLab(context);
  // What other tests have deleted is gone by now.
  const sink = rememberingSink(kept);
  const source = await rounds(settingsOf(lab), sink);
  const { signal } = new AbortController();
  const some = [...sink.records("device").keys()].slice(-250);
  const asked = [...some, "00000000-0000-0000-0000-000000000000", "no GUID"];
  const reading = await source.read("device", asked, signal);
  expect(reading.records.map(({ key }) => key).sort()).toEqual(some.sort());
  expect(await source.read("collection", asked, signal)).toEqual({ facets: [], records: [] });
});

test("a wrong password, and no controller, are told apart and waited out", async (context) => {
  const lab = await theLab(context);
  const wrong = settingsOf(lab, { bind: { dn: "CN=nobody", password: "x" } });
  const source = await rounds(wrong, rememberingSink(), { count: 2 });
  expect(source.state.failure).toMatchObject({ code: "directory-credentials" });
  const settings = settingsOf(lab);
  const away = { ...settings, address: { ...settings.address, urls: ["ldaps://localhost:1"] } };
  const other = await rounds(away, rememberingSink(), { count: 2 });
  expect(other.state.failure).toMatchObject({ code: "directory-unreachable" });
});

test("stopping does not wait for the controller", async (context) => {
  const lab = await theLab(context);
  const ending = new AbortController();
  const sink = rememberingSink();
  const source = new DirectorySource(settingsOf(lab, { limits: { pageRows: 10 } }), {
    ...{ clock: new FakeClock(Date.now()), random: systemRandom },
    onFault: () => {},
  });
  const running = source.run(sink, ending.signal);
  await until(() => sink.records("device").size > 0);
  ending.abort(new Error("enough"));
  await expect(running).rejects.toThrow("enough");
  expect(sink.scans).toEqual([]);
});
