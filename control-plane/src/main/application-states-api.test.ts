import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConsoleBrowser, rowsIn } from "../testing/console-browser.ts";
import { clientFacets, TOLD_AT, ToldSite } from "../testing/told-site.ts";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

const folder = temporaryFolder();
let plane: ControlPlaneFixture;
let admin: ApiClient;
let site: ToldSite;

const KEYS = { AppCI: 1, AssignmentID: 2, DTCI: 3, UserName: "(SYSTEM)", AppName: "Browser" };
const INSTALLED = { ...KEYS, AppStatusType: 1, InstalledState: 2, EnforcementState: 1_000 };
const FAILED = { ...KEYS, AppStatusType: 5, InstalledState: 3, EnforcementState: 5_000 };

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
  admin = await plane.client();
  site = await ToldSite.start(plane, admin);
  await site.tell("device", { "2": { ...clientFacets("WKS-2"), applicationStates: [INSTALLED] } });
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

test("states of applications are listed, now and before, and their changes stand in the timeline", async () => {
  const devices = async () => (await admin.get("/managedDevices")).value;
  await until(async () => (await devices()).length === 1, "the device");
  const path = `/managedDevices/${(await devices())[0].id}`;
  const states = async (query = "") => (await admin.get(`${path}/applicationStates${query}`)).value;
  expect(await states()).toMatchObject([
    { displayName: "Browser", state: "installed", errorCode: null },
  ]);
  const told = {
    applicationStates: [FAILED],
    applicationErrors: [{ ...KEYS, ErrorCode: -2016410844 }],
  };
  await site.tell("device", { "2": told }, TOLD_AT + 60_000);
  await until(async () => (await states())[0].state === "failed", "the failure");
  expect(await states()).toMatchObject([
    { errorCode: "0x87D00324", enforcementStateDescription: "deployment failed" },
  ]);
  const before = new Date(TOLD_AT + 30_000).toISOString();
  expect(await states(`?at=${before}`)).toMatchObject([{ state: "installed" }]);
  const { value: events } = await admin.get(`${path}/timeline`);
  const kinds = events.map(({ kind }: { kind: string }) => kind);
  expect(kinds).toEqual(["application.changed", "device.appeared"]);
  expect(events[0].title).toMatch(/^Browser: Installed → Failed: 0x87D00324, the application/);
});

test("the device's page in the console shows what failed, in words, and what to do", async () => {
  const browser = new ConsoleBrowser(plane);
  await browser.signIn("admin", plane.firstPassword);
  const [{ id }] = (await admin.get("/managedDevices")).value;
  const page = await browser.page(`/devices/${id}/applications`);
  expect(page).toContain("Deployed to this device");
  const [browserRow] = rowsIn(page).filter(([name]) => name?.includes("Browser"));
  expect(browserRow?.[1]).toMatch(/^Failed/i);
  expect(page).toMatch(/<code>0x87D00324<\/code> the application .*detect/);
});

test("the page says of a state without a name what the site says, and that no state is called install requested", async () => {
  const facets = {
    applicationStates: [
      { ...KEYS, AppStatusType: 2, EnforcementState: 2_999 },
      { ...KEYS, AppName: "Editor", AppCI: 4, AppStatusType: 2, EnforcementState: 2_002 },
    ],
  };
  await site.tell("device", { "3": { ...clientFacets("WKS-3"), ...facets } });
  const find = async () =>
    (await admin.get("/managedDevices?$filter=deviceName%20eq%20'WKS-3'")).value[0];
  const { id } = await until(find, "the device");
  const browser = new ConsoleBrowser(plane);
  await browser.signIn("admin", plane.firstPassword);
  const page = await browser.page(`/devices/${id}/applications`);
  const state = (application: string) =>
    rowsIn(page).find(([name]) => name?.includes(application))?.[1];
  expect(state("Browser")).toMatch(/^Installing ?EnforcementState 2999$/);
  expect(state("Editor")).toBe("Installing");
  expect(page).toContain("The site tells no state “install requested”");
});

test("a device's software updates stand on a page of their own, first those that it lacks", async () => {
  await site.tell("software-update", {
    "77": { identity: { LocalizedDisplayName: "Cumulative Update", ArticleID: "500" } },
  });
  const LACKS = "required, and not installed";
  const updateCompliance = [
    { CI_ID: 76, Status: 3, LastEnforcementMessageID: 10 },
    { CI_ID: 77, Status: 2, LastEnforcementMessageID: 0 },
    { CI_ID: 78, Status: 1 },
    { CI_ID: 79, Status: 2, LastEnforcementMessageID: 11 },
    { CI_ID: 80, Status: 2, LastEnforcementMessageID: 77 },
    { CI_ID: 81, Status: 9, LastEnforcementMessageID: 0 },
  ];
  await site.tell("device", { "4": { ...clientFacets("WKS-4"), updateCompliance } });
  const find = async () =>
    (await admin.get("/managedDevices?$filter=deviceName%20eq%20'WKS-4'")).value[0];
  const { id } = await until(find, "the device");
  const browser = new ConsoleBrowser(plane);
  await browser.signIn("admin", plane.firstPassword);
  const page = await browser.page(`/devices/${id}/updates`);
  expect(rowsIn(page)).toEqual([
    ...[["not known by name", `${LACKS} : failed to install the update`, "", "79"]],
    ["Cumulative Update", LACKS, "500", "77"],
    ["not known by name", `${LACKS} : unknown (77)`, "", "80"],
    ["not known by name", "unknown (9)", "", "81"],
    ["not known by name", "installed", "", "76"],
    ["not known by name", "not applicable", "", "78"],
  ]);
  expect(page).toContain("6 software updates, 3 of them required and not installed.");
  expect((await admin.get(`/managedDevices/${id}/softwareUpdateStates`)).value).toMatchObject([
    {
      key: "76",
      state: "installed",
      status: 3,
      complianceState: "compliant",
      enforcementState: 10,
    },
    {
      ...{ key: "77", state: "required", stateDescription: "update is required", status: 2 },
      ...{
        complianceState: "nonCompliant",
        enforcementState: 0,
        enforcementStateDescription: null,
      },
    },
    { key: "78", state: "notApplicable", complianceState: "compliant", enforcementState: null },
    {
      ...{ key: "79", state: "required", complianceState: "error", enforcementState: 11 },
      enforcementStateDescription: "failed to install the update",
    },
    { key: "80", enforcementState: 77, enforcementStateDescription: "unknown (77)" },
    { key: "81", state: "unknown", status: 9, stateDescription: "unknown (9)" },
  ]);
  const [{ id: other }] = (await admin.get("/managedDevices")).value;
  expect(await browser.page(`/devices/${other}/updates`)).toContain("Nothing is known");
});

test("custom properties are shown as the site told them last", async () => {
  const SMS_G_System_ExtensionData = [{ PropertyName: "Room", PropertyValue: "4.12" }];
  await site.tell("device", { "5": { ...clientFacets("WKS-5"), SMS_G_System_ExtensionData } });
  const find = async () =>
    (await admin.get("/managedDevices?$filter=deviceName%20eq%20'WKS-5'")).value[0];
  const { id } = await until(find, "the device");
  const browser = new ConsoleBrowser(plane);
  await browser.signIn("admin", plane.firstPassword);
  expect(rowsIn(await browser.page(`/devices/${id}/properties`))).toEqual([["Room", "4.12"]]);
  const [{ id: other }] = (await admin.get("/managedDevices")).value;
  expect(await browser.page(`/devices/${other}/properties`)).toContain("The site told of none.");
});
