import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Role } from "../core/roles.ts";
import { ActedSite, SITE } from "../testing/acted-site.ts";
import { DEVICES } from "../testing/action-fixture.ts";
import { ConsoleBrowser, hiddenIn, linkIn, rowsIn } from "../testing/console-browser.ts";
import { recordsOf, told } from "../testing/inventory-fixture.ts";

const FIRST_TOLD = Date.parse("2026-03-01T08:00:00Z");
const DISKS = "SMS_G_System_LOGICAL_DISK";
let site: ActedSite;
let browser: ConsoleBrowser;
let device: string;

beforeAll(async () => {
  site = await ActedSite.start();
  device = `/devices/${site.deviceId}`;
  browser = new ConsoleBrowser(site.plane);
  await browser.signIn("admin", site.plane.firstPassword);
  const { lease } = await site.bridge.lease("CM1", "configmgr");
  const tell = (revision: number, at: number, freeSpace: number) =>
    site.bridge.inventory(
      recordsOf(
        lease,
        told(
          DEVICES[0] ?? "",
          revision,
          {
            stable: {
              Client: 1,
              ClientVersion: "5.00.9141.1011",
              AADPrimaryUserID: "anna@corp.test",
              OperatingSystemNameandVersion: "Microsoft Windows NT Workstation 10.0",
            },
            volatile: { CNIsOnline: true, LastActiveTime: "2026-03-01T07:00:00Z" },
            collections: ["CM100014"],
            [DISKS]: [{ DeviceID: "C:", FreeSpace: freeSpace }],
          },
          { at },
        ),
      ),
    );
  await tell(100, FIRST_TOLD, 5);
  await tell(101, FIRST_TOLD + 3_600_000, 7);
  const more = Array.from({ length: 60 }, (_, n) =>
    told(`${20_000 + n}`, 200 + n, {
      identity: { Name: `LAB-${String(n).padStart(2, "0")}` },
      stable: { Client: 1 },
    }),
  );
  await site.bridge.inventory(recordsOf(lease, ...more));
  await until(async () => (await browser.page("/devices")).includes("63 devices"), "63 devices");
});
afterAll(() => site[Symbol.asyncDispose]());
beforeEach(() => site.holdLease());

const namesIn = (page: string) => rowsIn(page).map(([name]) => name);

let accounts = 0;
async function as(role: Role): Promise<ConsoleBrowser> {
  accounts += 1;
  const userName = `console-${accounts}`;
  const password = "a long password for the console";
  await site.admin.post("/administrators", { userName, password, roles: [role] }, 201);
  const made = new ConsoleBrowser(site.plane);
  await made.signIn(userName, password);
  return made;
}

test("a device's page names its boundary groups and leads to those of its site", async () => {
  const { lease } = await site.bridge.lease("CM1", "configmgr");
  const evil = "<i>North</i>";
  await site.bridge.inventory(
    recordsOf(
      lease,
      told(
        "16777217",
        300,
        { identity: { Name: "Berlin" }, stable: { MemberCount: 4 } },
        { kind: "boundary-group" },
      ),
      told("16777218", 301, { identity: { Name: evil } }, { kind: "boundary-group" }),
      told(DEVICES[0] ?? "", 302, { boundaryGroups: { BoundaryGroups: `${evil},Berlin` } }),
    ),
  );
  await until(async () => (await browser.page(device)).includes(">Berlin</a>"), "the groups");
  const shown = await browser.page(device);
  expect([shown.includes(evil), shown.includes("&lt;i&gt;North&lt;/i&gt;")]).toEqual([false, true]);
  const list = await browser.page(linkIn(shown, "Berlin"));
  expect(rowsIn(list)).toEqual([["Berlin", "16777217", "4", "", "", ""]]);
  expect(rowsIn(await browser.page("/sources/CM1/boundary-groups"))).toHaveLength(2);
  const others = await browser.page("/devices?name=LAB-00");
  expect(await browser.page(linkIn(others, "LAB-00"))).toContain("none that is known");
});

describe("the list of devices", () => {
  test("shows each with its user, system, client, presence and site, counts them and goes on", async () => {
    const page = await browser.page("/devices?name=pc0");
    expect(page).toContain("1 device<");
    expect(rowsIn(page)).toEqual([
      [
        ...["PC0", "anna@corp.test", "Windows", "5.00.9141.1011", "yes"],
        ...["2026-03-01 07:00:00 UTC", "CM1"],
      ],
    ]);
    const first = await browser.page("/devices?name=LAB");
    expect([namesIn(first).length, namesIn(first)[0]]).toEqual([50, "LAB-00"]);
    const second = await browser.page(linkIn(first, "Next page"));
    expect(namesIn(second)).toEqual(Array.from({ length: 10 }, (_, n) => `LAB-${50 + n}`));
    expect(second).toContain("60 devices, a later page of them");
    expect(linkIn(second, "First page")).toBe("/devices?name=LAB");
    expect(second).not.toContain("Next page");
  });

  test.each([
    ["name=*-5&order=deviceName+desc&top=50", 10, "LAB-59"],
    ["name=lab-5*&top=50", 10, "LAB-50"],
    ["name=*C0*", 1, "PC0"],
    ["name=*&user=*&top=50", 63, "LAB-00"],
    ["user=ANNA@", 1, "PC0"],
    ["online=yes", 1, "PC0"],
    ["os=Windows", 1, "PC0"],
    ["site=CM1&name=pc", 3, "PC0"],
    ["serial=none", 0, undefined],
    ["filter=startswith(deviceName,'PC')+or+deviceName+eq+'LAB-07'", 4, "LAB-07"],
    ["name=%27", 0, undefined],
  ])("is searched by %s", async (query, count, first) => {
    const page = await browser.page(`/devices?${query}`);
    expect([page.match(/(\d+) devices?</)?.[1], namesIn(page)[0]]).toEqual([String(count), first]);
  });

  test("says what is wrong with a filter that is none, and keeps what was typed", async () => {
    const page = await browser.page("/devices?name=lab&filter=nonsense+eq+%3Cb%3E", 400);
    expect(page).toMatch(/role="alert">[^<]+</);
    expect(page).toContain('value="nonsense eq &lt;b&gt;"');
    expect(page).toContain('value="lab"');
    expect(page).toContain(
      "<code>startswith(deviceName,&#39;lab&#39;) and (nonsense eq &lt;b&gt;)</code>",
    );
    const alone = await browser.page("/devices?filter=nonsense+eq+1", 400);
    expect(alone).toContain(
      "no property nonsense (at character 1 of $filter): allowed are id, dev",
    );
    expect(alone).not.toContain("The whole filter was");
  });
});

describe("the pages of a device", () => {
  test("begin with what is known of it, and lead to the others", async () => {
    const page = await browser.page(device);
    for (const known of ["PC0", "anna@corp.test", "5.00.9141.1011", DEVICES[0], "Restart"]) {
      expect(page).toContain(known);
    }
    expect(await browser.page(linkIn(page, "CM1"))).toContain("What happened to it");
    const collections = await browser.page(linkIn(page, "Collections"));
    expect(rowsIn(collections)).toEqual([["All", "CM100014", "CM1"]]);
  });

  test("show its classes now and as of a time", async () => {
    const now = await browser.page(`${device}/inventory`);
    expect(namesIn(now)).toContain(DISKS);
    const path = `${device}/inventory/${DISKS}`;
    expect(linkIn(now, DISKS)).toBe(path);
    const disks = await browser.page(path);
    expect(rowsIn(disks)).toContainEqual(["FreeSpace", "7"]);
    const before = await browser.page(`${path}?at=2026-03-01T08:30`);
    expect(rowsIn(before)).toContainEqual(["FreeSpace", "5"]);
    expect(before).toContain("As of <time");
    const [, former = ""] = [...disks.matchAll(/href="([^"]*at=[^"]*)"/g)].map(([, to]) => to);
    expect(rowsIn(await browser.page(former))).toContainEqual(["FreeSpace", "5"]);
    await browser.page(`${path}?at=2020-01-01T00:00`, 404);
    await browser.page(`${path}?at=nonsense`, 400);
  });

  test("compare it at two times", async () => {
    const path = `${device}/compare`;
    expect(await browser.page(path)).toContain("datetime-local");
    const query = "from=2026-03-01T08:30&to=2026-03-01T09:30:00";
    const page = await browser.page(`${path}?${query}`);
    expect(rowsIn(page)).toEqual([[DISKS, "DeviceID=C:/FreeSpace", "5", "7"]]);
  });

  test("tell what happened to it, the newest first, searched and filtered", async () => {
    const all = rowsIn(await browser.page(`${device}/timeline`));
    const kinds = all.map(([, kind]) => kind);
    expect(kinds.indexOf("Inventory changed")).toBeLessThan(kinds.indexOf("Device appeared"));
    const found = await browser.page(`${device}/timeline?search=freespace`);
    expect(rowsIn(found)[0]?.[0]).toContain(`${DISKS}/DeviceID=C:/FreeSpace: 5 → 7`);
    expect(rowsIn(found)).toHaveLength(1);
    const appeared = await browser.page(`${device}/timeline?kind=device.appeared`);
    expect(rowsIn(appeared)).toHaveLength(1);
    await browser.page(`${device}/timeline?kind=nonsense`, 400);
  });

  test("are found by the ResourceID that one site alone has", async () => {
    expect(await browser.page(`/devices/${DEVICES[0]}`)).toContain("<h2>PC0</h2>");
    expect(await browser.page("/devices/nothing", 404)).toContain('role="alert"');
    await browser.page("/devices/export/timeline", 404);
    await browser.page("/devices/a%2Ftimeline", 404);
  });
});

describe("an action", () => {
  const confirm = (name: string) => `${device}/actions/confirm?action=${name}`;

  test("is asked for on a page of its own, goes to the bridge once, and is followed and cancelled", async () => {
    const question = await browser.page(linkIn(await browser.page(device), "Sync machine policy"));
    expect(question).toContain("Sync machine policy: PC0?");
    const sent = await browser.submit(`${device}/actions`, hiddenIn(question));
    const again = await browser.submit(`${device}/actions`, hiddenIn(question));
    for (const { status, headers } of [sent, again]) {
      expect([status, headers["location"]]).toEqual([
        303,
        `${device}/actions?asked=refreshMachinePolicy`,
      ]);
    }
    const { value } = await site.admin.get(`${SITE}/clientOperations`);
    expect(value).toMatchObject([{ action: "refreshMachinePolicy", actor: "admin" }]);
    await site.commandOf(value[0].commandId);
    const page = await browser.page(String(sent.headers["location"]));
    expect(page).toContain("Sync machine policy was asked for");
    const [row] = rowsIn(page);
    expect([row?.[0], row?.[3]]).toEqual(["Sync machine policy refreshMachinePolicy", "admin"]);
    const [, cancel = ""] = /action="([^"]*\/cancel)"/.exec(page) ?? [];
    expect((await browser.submit(cancel, {})).status).toBe(303);
    const cancelled = () => site.bridge.commands.find(({ kind }) => kind === "command.cancel");
    await until(cancelled, "the cancellation");
  });

  test("that is refused says so beside the question", async () => {
    const path = `${SITE}/clientOperations`;
    const before = (await site.admin.get(path)).value.length;
    site.bridge.giveUpLease("CM1", "configmgr");
    await until(async () => !(await site.admin.get(SITE)).isRead, "nobody reads the site");
    const question = await browser.page(confirm("restart"));
    const answer = await browser.submit(`${device}/actions`, hiddenIn(question));
    expect([answer.status, answer.body]).toEqual([503, expect.stringContaining('role="alert"')]);
    expect(answer.body).toContain("Restart: PC0?");
    expect((await site.admin.get(path)).value).toHaveLength(before);
  });

  test("is offered and done as far as the roles go", async () => {
    const reader = await as("Reader");
    const helpdesk = await as("Helpdesk operator");
    expect(await reader.page(device)).not.toContain("/actions/confirm");
    const seen = await helpdesk.page(device);
    expect([seen.includes("Sync machine policy"), seen.includes("Restart")]).toEqual([true, false]);
    expect(await helpdesk.page(confirm("restart"), 403)).toContain("actions.run");
    const key = hiddenIn(await browser.page(confirm("restart")))["key"] ?? "";
    const form = { action: "restart", key };
    expect((await helpdesk.submit(`${device}/actions`, form)).status).toBe(403);
    expect(
      (await reader.submit(`${device}/actions`, { ...form, action: "quickScan" })).status,
    ).toBe(403);
  });

  test("that waits or is refused says what to type or which rule it was", async () => {
    const form = hiddenIn(await browser.page(confirm("fullScan")));
    await browser.submit(`${device}/actions`, form);
    const { value } = await site.admin.get(`${SITE}/clientOperations`);
    const id = value.find(({ action }: { action: string }) => action === "fullScan").commandId;
    await site.commandOf(id);
    const [message, rule] = [`type \`comgmt-bridge approve ${id}\``, "guardrails.approval"];
    site.bridge.progress(id, { code: "awaiting-approval", message, rule });
    const line = `type <code>comgmt-bridge approve ${id}</code> (guardrails.approval)`;
    const waits = async () => (await browser.page(`${device}/actions`)).includes(line);
    await until(waits, "the command line");
    const error = { code: "refused", message: "Not <now>", rule };
    await site.bridge.report({ id, state: "refused", error });
    const refused = "Not &lt;now&gt; <code>guardrails.approval</code>";
    await until(async () => (await browser.page("/")).includes(refused), "the rule");
  });

  test("may be cancelled by who asked for it, whoever else may not", async () => {
    const helpdesk = await as("Helpdesk operator");
    const form = hiddenIn(await helpdesk.page(confirm("discoveryData")));
    expect((await helpdesk.submit(`${device}/actions`, form)).status).toBe(303);
    const cancellable = (page: string) => page.match(/Cancel [a-z]+ data on [a-z0-9]+/gi) ?? [];
    const page = await helpdesk.page(`${device}/actions`);
    expect(cancellable(page)).toEqual(["Cancel Discovery data on PC0"]);
    const [, cancel = ""] = /action="([^"]*\/cancel)"/.exec(page) ?? [];
    expect((await helpdesk.submit(cancel, {})).status).toBe(303);
  });

  test("cannot be asked for by another site's form, nor by a form that is not whole", async () => {
    const form = hiddenIn(await browser.page(confirm("quickScan")));
    const origin = { "sec-fetch-site": "cross-site" };
    expect((await browser.submit(`${device}/actions`, form, origin)).status).toBe(403);
    expect((await browser.submit(`${device}/actions`, { ...form, key: "" })).status).toBe(400);
    expect((await browser.submit(`${device}/actions`, { ...form, action: "x" })).status).toBe(404);
  });
});

test("what the lists show can be had whole as a file, by who may export", async () => {
  const list = await browser.page("/devices?name=LAB-1");
  const path = linkIn(list, "CSV");
  expect(path).toMatch(/^\/devices\/export\?/);
  const { status, headers, body } = await browser.get(path);
  expect([status, headers["content-type"]]).toEqual([
    200,
    "text/csv; charset=utf-8; header=present",
  ]);
  expect(headers["content-disposition"]).toBe('attachment; filename="managedDevices.csv"');
  const [header, ...rows] = body.trim().split("\r\n");
  expect(header).toMatch(/^id,deviceName,/);
  expect(rows).toHaveLength(10);
  const timeline = await browser.page(`${device}/timeline?kind=device.appeared`);
  const { body: lines } = await browser.get(linkIn(timeline, "lines of JSON"));
  expect(JSON.parse(lines)).toMatchObject({ kind: "device.appeared" });
  expect((await browser.get("/devices/export?filter=model%20like%20'x'")).status).toBe(400);
  const helpdesk = await as("Helpdesk operator");
  expect(await helpdesk.page("/devices")).not.toContain("/devices/export");
  expect((await helpdesk.get(path)).status).toBe(403);
});

test("a device that no source tells of has an overview, and its other pages say why they are not there", async () => {
  const entry = await site.admin.post("/managedDevices", { deviceName: "Anna's laptop" }, 201);
  expect(await browser.page(`/devices/${entry.id}`)).toContain("administrators&#39; own entry");
  for (const below of ["/applications", "/inventory", "/timeline", "/actions"]) {
    const page = await browser.page(`/devices/${entry.id}${below}`, 404);
    expect(page).toContain("No source tells of Anna&#39;s laptop: there is its overview alone");
  }
});

test("a stranger signs in and sees the page that was asked for, and no other site's", async () => {
  const stranger = new ConsoleBrowser(site.plane);
  const form = await stranger.page(`${device}/timeline?search=x`, 401);
  expect(form).not.toContain("PC0");
  expect((await stranger.submit(`${device}/actions`, { action: "restart" })).status).toBe(401);
  const { next } = hiddenIn(form);
  const password = site.plane.firstPassword;
  const answer = await stranger.signIn("admin", password, next);
  expect(answer.headers["location"]).toBe(`${device}/timeline?search=x`);
  for (const other of ["//evil.example/", "https://evil.example", "/devices.evil", "/\\evil"]) {
    const { headers } = await new ConsoleBrowser(site.plane).signIn("admin", password, other);
    expect(headers["location"]).toBe("/");
  }
});

test("every page allows no script, and names what a source says as text", async () => {
  const { lease } = await site.bridge.lease("CM1", "configmgr");
  const name = "<script>alert(1)</script>";
  const record = told("666", 900, { identity: { Name: name }, evil: [{ [name]: name }] });
  await site.bridge.inventory(recordsOf(lease, record));
  const found = await until(async () => {
    const { value } = await site.admin.get(
      "/managedDevices?$filter=configurationManagerKey%20eq%20'666'",
    );
    return value[0]?.id as string | undefined;
  }, "the device");
  for (const below of [
    "",
    "/collections",
    "/inventory",
    "/inventory/evil",
    "/timeline",
    "/actions",
  ]) {
    const { status, headers, body } = await browser.get(`/devices/${found}${below}`);
    expect([below, status]).toEqual([below, 200]);
    expect(body).not.toContain("<script");
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(headers["cache-control"]).toBe("no-store");
  }
  const list = await browser.get("/devices?name=%3Cscript");
  expect(list.body).toContain("&lt;script&gt;");
  expect(list.headers["content-security-policy"]).toContain("default-src 'none'");
});
