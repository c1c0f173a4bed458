import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientFacets, TOLD_AT, ToldSite } from "../testing/told-site.ts";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

const DISK = "SMS_G_System_LOGICAL_DISK";
const DAY_MS = 86_400_000;
const folder = temporaryFolder();
let plane: ControlPlaneFixture;
let admin: ApiClient;
let site: ToldSite;
let device: string;

const disk = (FreeSpace: number, DeviceID = "C:") => ({ GroupID: 1, DeviceID, FreeSpace });
const day = (number: number) => new Date(TOLD_AT + number * DAY_MS).toISOString();

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
  admin = await plane.client();
  site = await ToldSite.start(plane, admin);
  await site.tell("device", { "1": { ...clientFacets("WKS-1"), [DISK]: [disk(10)] } });
  await site.tell("device", { "1": { [DISK]: [disk(20)] } }, TOLD_AT + DAY_MS);
  await site.tell(
    "device",
    { "1": { [DISK]: [disk(30), { ...disk(5, "D:"), GroupID: 2 }] } },
    TOLD_AT + 2 * DAY_MS,
  );
  await site.tell(
    "device",
    Object.fromEntries(
      Array.from({ length: 150 }, (_, n) => [
        `${n + 2}`,
        {
          ...clientFacets(`PC-${n}`),
          [DISK]: [{ ...disk(n), VolumeName: n === 149 ? "=1+1" : "W" }],
        },
      ]),
    ),
  );
  await until(
    async () => (await admin.get("/managedDevices?$count=true&$top=1"))["@odata.count"] === 151,
    "the devices",
  );
  const { value } = await admin.get("/managedDevices?$filter=deviceName%20eq%20'WKS-1'");
  device = value[0].id;
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const explorer = (path = "") => admin.get(`/managedDevices/${device}/resourceExplorer${path}`);
const timeline = (options = "") => admin.get(`/managedDevices/${device}/timeline?${options}`);

describe("the resource explorer", () => {
  test("lists the classes of a device with their rows", async () => {
    const { value } = await explorer();
    expect(value).toMatchObject([
      { id: DISK, rowCount: 2, sinceDateTime: day(2), untilDateTime: null },
      { id: "identity", rowCount: 1 },
      { id: "stable", rowCount: 1 },
    ]);
    expect((await explorer(`/${DISK}`)).value).toEqual([
      disk(30),
      { ...disk(5, "D:"), GroupID: 2 },
    ]);
  });

  test.each([
    [0, 10],
    [0.5, 10],
    [1, 20],
    [1.5, 20],
  ])("%s days later a class is what it was then", async (days, free) => {
    const { value, untilDateTime } = await explorer(`/${DISK}?at=${day(days)}`);
    expect(value).toEqual([disk(free)]);
    expect(untilDateTime).toBe(day(Math.floor(days) + 1));
  });

  test("before the device was there it has no classes", async () => {
    expect((await explorer(`?at=${day(-1)}`)).value).toEqual([]);
    const { error } = await admin.get(
      `/managedDevices/${device}/resourceExplorer/${DISK}?at=${day(-1)}`,
      404,
    );
    expect(error.message).toContain("had none at that time");
  });

  test("lists what a class was, in pages", async () => {
    const first = await explorer(`/${DISK}/history?$top=2`);
    const next = first["@odata.nextLink"].slice(`${plane.url}/beta/deviceManagement`.length);
    const states = [...first.value, ...(await admin.get(next)).value];
    expect(states.map(({ sinceDateTime }) => sinceDateTime)).toEqual([day(2), day(1), day(0)]);
    expect(states.map(({ untilDateTime }) => untilDateTime)).toEqual([null, day(2), day(1)]);
  });

  test("says field by field how two times differ", async () => {
    const { value, isTruncated } = await explorer(`/compare?from=${day(0)}&to=${day(2)}`);
    expect(isTruncated).toBe(false);
    expect(value).toEqual([
      { class: DISK, path: "GroupID=1/FreeSpace", before: 10, after: 30 },
      { class: DISK, path: "", before: null, after: { ...disk(5, "D:"), GroupID: 2 } },
    ]);
    const reverse = await explorer(`/compare?from=${day(2)}&to=${day(1)}`);
    expect(reverse.value).toHaveLength(2);
    expect((await explorer(`/compare?from=${day(2)}`)).value).toEqual([]);
  });

  test.each([
    ["/compare", "odata-time"],
    ["/compare?from=yesterday", "odata-time"],
    [`/compare?from=${day(0)}&from=${day(0)}`, "odata-repeated-option"],
    ["?at=2026-13-01", "odata-time"],
    ["?$filter=x", "odata-unknown-option"],
    [`/${DISK}/history?$top=0`, "odata-top"],
    [`/${DISK}/history?$skiptoken=a.b`, "odata-skip-token"],
  ])("%s is refused as %s", async (path, code) => {
    const { error } = await admin.get(`/managedDevices/${device}/resourceExplorer${path}`, 400);
    expect(error.innerError.code).toBe(code);
  });

  test("has nothing of a device that is not there, or that only an administrator knows", async () => {
    await admin.get("/managedDevices/none/resourceExplorer", 404);
    await admin.post("/managedDevices", { id: "own" }, 201);
    await admin.get("/managedDevices/own/resourceExplorer", 404);
    expect((await admin.answer("DELETE", "/managedDevices/own")).status).toBe(204);
    await admin.get(`/managedDevices/${device}/resourceExplorer/NO_SUCH_CLASS`, 404);
  });
});

describe("the timeline", () => {
  test("is paged by the order in which things were learnt, the last first", async () => {
    const whole = (await timeline()).value;
    expect(whole.length).toBeGreaterThanOrEqual(3);
    expect(whole.at(-1)).toMatchObject({ kind: "device.appeared", eventDateTime: day(0) });
    const first = await timeline("$top=1");
    const next = first["@odata.nextLink"].slice(`${plane.url}/beta/deviceManagement`.length);
    expect([...first.value, ...(await admin.get(next)).value]).toEqual(whole.slice(0, 2));
  });

  test("is narrowed by kind, time and words", async () => {
    const kinds = async (options: string) =>
      (await timeline(options)).value.map(({ kind }: { kind: string }) => kind);
    const filter = (text: string) => `$filter=${encodeURIComponent(text)}`;
    expect(await kinds(filter("kind eq 'device.appeared'"))).toEqual(["device.appeared"]);
    expect(
      await kinds(filter(`eventDateTime ge ${day(1)} and eventDateTime lt ${day(2)}`)),
    ).toEqual(["inventory.changed"]);
    expect(
      await kinds(
        filter(
          `(kind eq 'device.appeared' or kind eq 'tunnel.cut') and eventDateTime le ${day(0)}`,
        ),
      ),
    ).toEqual(["device.appeared"]);
    expect(await kinds("$search=freespace")).toEqual(["inventory.changed", "inventory.changed"]);
    expect(await kinds("$search=nothing-of-the-kind")).toEqual([]);
  });

  test.each([
    ["kind eq 'nothing'", "odata-property-type"],
    ["title eq 'x'", "odata-property-type"],
    ["kind ne 'device.appeared'", "odata-property-type"],
    ["eventDateTime eq 2026-01-01T00:00:00Z", "odata-property-type"],
    ["kind", "odata-syntax"],
  ])("$filter=%s is refused as %s", async (filter, code) => {
    const path = `/managedDevices/${device}/timeline?$filter=${encodeURIComponent(filter)}`;
    expect((await admin.get(path, 400)).error.innerError.code).toBe(code);
  });
});

describe("exports", () => {
  const get = (path: string) => admin.answer("GET", path);
  const lines = (text: string) => text.split("\r\n").slice(0, -1);

  test("devices as CSV: all of them, in the columns that were asked for", async () => {
    const { status, headers, body } = await get(
      "/managedDevices/export?$select=deviceName,coManagementFlags",
    );
    expect(status).toBe(200);
    expect(headers["content-type"]).toContain("text/csv");
    expect(headers["content-disposition"]).toBe('attachment; filename="managedDevices.csv"');
    expect(lines(body)[0]).toBe("id,deviceName,coManagementFlags");
    expect(lines(body)).toHaveLength(152);
  });

  test("devices as lines of JSON, filtered", async () => {
    const filter = encodeURIComponent("deviceName eq 'PC-3'");
    const { headers, body } = await get(`/managedDevices/export?format=ndjson&$filter=${filter}`);
    expect(headers["content-type"]).toBe("application/x-ndjson");
    expect(JSON.parse(body)).toMatchObject({
      deviceName: "PC-3",
      managementAgent: "configurationManagerClientMdm",
    });
    expect(lines((await get("/comanagementEligibleDevices/export")).body)).toHaveLength(152);
    expect(lines((await get("/comanagedDevices/export?$select=id")).body)).toHaveLength(152);
  });

  test("a class of all devices, a line for each row, and no formula among them", async () => {
    const { body } = await get(`/configurationManagerClasses/${DISK}/export`);
    const [header, first] = lines(body);
    expect(header).toBe(
      "managedDeviceId,deviceName,configurationManagerSite,configurationManagerKey,sinceDateTime,GroupID,DeviceID,FreeSpace,VolumeName,otherColumns",
    );
    expect(first).toBe(`${device},WKS-1,CM1,1,${day(2)},1,C:,30,,`);
    expect(lines(body)).toHaveLength(153);
    expect(body).toContain(",'=1+1,");
    const selected = await get(`/configurationManagerClasses/${DISK}/export?$select=DeviceID`);
    expect(lines(selected.body)[0]?.endsWith("sinceDateTime,DeviceID")).toBe(true);
    expect(lines((await get("/configurationManagerClasses/NONE/export")).body)).toHaveLength(1);
  });

  test("a class with more columns than a table can have stays a table", async () => {
    const wide = Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`Made${n}`, 1]));
    const rows = [wide, ...Array.from({ length: 3_000 }, () => ({}))];
    await site.tell("device", { "1": { SMS_G_System_WIDE: rows } }, TOLD_AT + 3 * DAY_MS);
    const path = "/configurationManagerClasses/SMS_G_System_WIDE/export";
    const told = async () => lines((await get(path)).body).length === 3_002;
    await until(told, "the class");
    const [header = "", first] = lines((await get(path)).body);
    expect(header.split(",")).toHaveLength(501);
    expect(first).toContain('""Made2999"":1');
  });

  test("a timeline", async () => {
    const { body } = await get(`/managedDevices/${device}/timeline/export`);
    expect(lines(body)[0]).toBe("id,eventDateTime,recordedDateTime,kind,actor,title,details");
    expect(lines(body).length).toBe((await timeline()).value.length + 1);
  });

  test.each([
    ["/managedDevices/export?format=xlsx", 400],
    ["/managedDevices/export?$top=1", 400],
    ["/managedDevices/export?$filter=nothing%20eq%201", 400],
    ["/managedDevices/export?$select=nothing", 400],
    ["/configurationManagerClasses/no%20class/export", 404],
    ["/managedDevices/none/timeline/export", 404],
  ])("%s is answered with %i", async (path, status) => {
    expect((await get(path)).status).toBe(status);
  });

  test("are in the audit chain with who asked and for what", async () => {
    await get(`/configurationManagerClasses/${DISK}/export?format=ndjson`);
    const filter = encodeURIComponent("activity eq 'inventory.exported'");
    const { value } = await admin.get(
      `/auditEvents?$filter=${filter}&$orderby=index%20desc&$top=1`,
    );
    expect(value).toMatchObject([
      {
        actor: "admin",
        details: { path: `/configurationManagerClasses/${DISK}/export`, query: "format=ndjson" },
      },
    ]);
  });

  test("who may read may not carry away", async () => {
    const helpdesk = await plane.client("Helpdesk operator");
    expect((await helpdesk.answer("GET", "/managedDevices/export")).status).toBe(403);
    expect((await helpdesk.answer("GET", `/managedDevices/${device}/timeline`)).status).toBe(200);
  });

  test("a client that goes in the middle leaves the next one its place", async () => {
    const ca = readFileSync(join(plane.folder, "ca.pem"));
    const path = `${plane.url}/beta/deviceManagement/managedDevices/export`;
    for (let n = 0; n < 6; n++) {
      await new Promise<void>((resolve, reject) => {
        const asked = request(
          path,
          { ca, agent: false, headers: { authorization: `Bearer ${admin.token}` } },
          (response) => {
            response.once("data", () => response.destroy());
            response.once("close", () => resolve());
          },
        );
        asked.on("error", reject);
        asked.end();
      });
    }
    const whole = () => get("/managedDevices/export?$select=id");
    await until(async () => (await whole()).status === 200, "a place among the exports");
    const hash = async () =>
      createHash("sha256")
        .update((await whole()).body)
        .digest("hex");
    expect(await hash()).toBe(await hash());
  });
});
