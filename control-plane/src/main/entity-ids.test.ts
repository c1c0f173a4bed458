import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ActedSite, SITE } from "../testing/acted-site.ts";
import { APPLICATION_GUID, COLLECTION, DEVICES, SCRIPT } from "../testing/action-fixture.ts";
import { recordsOf, told } from "../testing/inventory-fixture.ts";
import { ToldSite } from "../testing/told-site.ts";

/** Lists give GUIDs, sites speak of ResourceIDs: each route takes either. */

const [FIRST = "", SECOND = ""] = DEVICES;
let site: ActedSite;
let admin: ActedSite["admin"];
let other: ToldSite;

beforeAll(async () => {
  site = await ActedSite.start();
  ({ admin } = site);
  other = await ToldSite.start(site.plane, admin, "CM2");
  await other.tell("device", { [SECOND]: { identity: { Name: "TWIN" }, stable: { Client: 1 } } });
  await other.tell("collection", { [COLLECTION]: { identity: { Name: "All of CM2" } } });
  await other.event("scan.ended", "told");
  await site.bridge.inventory(
    recordsOf(1, told("CM100099", 50, { identity: { Name: "Alone" } }, { kind: "collection" })),
  );
  await until(async () => {
    const { value } = await admin.get("/configurationManagerSiteEvents");
    const alone = await idOf("/configurationManagerCollections", "CM100099");
    return (
      alone !== undefined && value.some((each: { message: string }) => each.message === "told")
    );
  }, "the records of both sites");
});
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
});
beforeEach(() => site.holdLease());

const listed = async (path: string, filter: string) =>
  (await admin.get(`${path}?$filter=${encodeURIComponent(filter)}`)).value;
const idOf = async (path: string, key: string) =>
  (await listed(path, `key eq '${key}' and configurationManagerSite eq 'CM1'`))[0]?.id as string;

describe("a path takes the id of a list and the key of the site", () => {
  test("of a device and what stands below it", async () => {
    const byGuid = await admin.get(site.device);
    expect(await admin.get(`/managedDevices/${FIRST}`)).toEqual(byGuid);
    for (const below of ["resourceExplorer", "timeline", "configurationManagerCollections"]) {
      expect((await admin.get(`/managedDevices/${FIRST}/${below}`)).value).toEqual(
        (await admin.get(`${site.device}/${below}`)).value,
      );
    }
    expect(await admin.get(`/comanagementEligibleDevices/${FIRST}`)).toMatchObject({
      deviceName: "PC0",
    });
  });

  test("of a collection, a script and an application", async () => {
    const collections = "/configurationManagerCollections";
    const alone = await idOf(collections, "CM100099");
    expect(await admin.get(`${collections}/CM100099`)).toMatchObject({ id: alone });
    expect(await admin.get(`${collections}/CM100099/members`)).toMatchObject({ value: [] });
    const scripts = "/configurationManagerScripts";
    const script = await idOf(scripts, SCRIPT.guid);
    expect(await admin.get(`${scripts}/${SCRIPT.guid.toLowerCase()}`)).toMatchObject({
      id: script,
    });
    const application = await admin.get("/configurationManagerApplications/17");
    expect(application).toMatchObject({ displayName: "Editor" });
    await admin.get(`/configurationManagerApplications/${application.id}/deployments`);
    await admin.get("/configurationManagerApplications/17/deployments");
  });

  test.each([
    [`/managedDevices/${SECOND}`, "ResourceID 16777221"],
    [`/managedDevices/${SECOND}/timeline`, "ResourceID 16777221"],
    [`/managedDevices/${SECOND}/clientOperations`, "ResourceID 16777221"],
    [`/configurationManagerCollections/${COLLECTION}`, `CollectionID ${COLLECTION}`],
    [`/configurationManagerCollections/${COLLECTION}/members`, `CollectionID ${COLLECTION}`],
  ])("and says which ids there are where several sources have it: %s", async (path, what) => {
    const { error } = await admin.get(path, 400);
    expect(error.innerError.code).toBe("id-ambiguous");
    expect(error.message).toMatch(/00000000-0000-4000-8000-[0-9a-f]{12} \(CM1\), .* \(CM2\)/);
    expect(error.message).toContain(what);
  });

  test.each([
    ["/configurationManagerCollections/none", "by its id, a GUID, or by its CollectionID"],
    ["/configurationManagerScripts/none", "by its id, a GUID, or by its ScriptGuid"],
    ["/managedDevices/99", "There is no entity 99"],
  ])("and says what is wanted where nothing has it: %s", async (path, words) => {
    expect((await admin.get(path, 404)).error.message).toContain(words);
  });

  test("an administrator's own id goes before a ResourceID", async () => {
    await admin.post("/managedDevices", { id: "16777222", deviceName: "own" }, 201);
    expect(await admin.get("/managedDevices/16777222")).toMatchObject({ deviceName: "own" });
    await admin.get("/managedDevices/16777222/timeline", 404);
    const wanted = { notification: "quickScan" };
    await admin.post("/managedDevices/16777222/clientOperations", wanted, 404);
    await admin.answer("DELETE", "/managedDevices/16777222");
    expect(await admin.get("/managedDevices/16777222")).toMatchObject({ deviceName: "PC2" });
  });
});

describe("an action takes and shows both", () => {
  const asked = (path: string, body: object, status = 202) => admin.post(path, body, status);
  const scan = { notification: "quickScan" };

  test("of a device", async () => {
    const made = await asked(`/managedDevices/${FIRST}/clientOperations`, scan);
    expect(made).toMatchObject({
      managedDeviceId: site.deviceId,
      target: {
        kind: "devices",
        resourceIds: [Number(FIRST)],
        managedDeviceIds: [site.deviceId],
        displayName: "PC0",
      },
    });
    const { error } = await asked(`/managedDevices/${SECOND}/clientOperations`, scan, 409);
    expect([error.innerError.code, error.message]).toEqual([
      "device-ambiguous",
      expect.stringMatching(/name it by its id, one of .*\(CM1\), .*\(CM2\)/),
    ]);
    const target = { managedDeviceIds: [SECOND, site.deviceId] };
    const both = await asked(`${SITE}/clientOperations`, { ...scan, target });
    expect(both.target.resourceIds).toEqual([Number(SECOND), Number(FIRST)]);
    expect(both.target.managedDeviceIds).toHaveLength(2);
    const none = { ...scan, target: { managedDeviceIds: ["77"] } };
    await asked(`${SITE}/clientOperations`, none, 404);
  });

  test("of a collection", async () => {
    const id = await idOf("/configurationManagerCollections", COLLECTION);
    const made = await asked(`${SITE}/clientOperations`, { ...scan, target: { collectionId: id } });
    const target = { kind: "collection", collectionId: COLLECTION, id, displayName: "All" };
    expect(made.target).toEqual(target);
    const command = await site.commandOf(made.commandId);
    expect(command.payload).toMatchObject({
      target: { kind: "collection", collectionId: COLLECTION },
    });
    const [elsewhere] = await listed(
      "/configurationManagerCollections",
      "displayName eq 'All of CM2'",
    );
    const wrong = { ...scan, target: { collectionId: elsewhere.id } };
    expect((await asked(`${SITE}/clientOperations`, wrong, 404)).error.innerError.code).toBe(
      "collection-unknown",
    );
  });

  test("of a script and an application", async () => {
    const script = await idOf("/configurationManagerScripts", SCRIPT.guid);
    const { version, sha256 } = SCRIPT;
    const ran = await asked(`${site.device}/scripts/${script}/run`, { version, sha256 });
    expect(ran).toMatchObject({ subject: SCRIPT.guid, subjectId: script });
    expect((await site.commandOf(ran.commandId)).payload).toMatchObject({
      scriptGuid: SCRIPT.guid,
    });
    const application = await idOf("/configurationManagerApplications", "17");
    for (const id of [application, "17", APPLICATION_GUID]) {
      const made = await asked(`${site.device}/applications/${id}/install`, {});
      expect(made).toMatchObject({ subject: "17", subjectId: application });
    }
  });

  test("and is found, with its devices, without its site", async () => {
    const { id } = await asked(`${site.device}/clientOperations`, scan);
    const path = `/configurationManagerClientOperations/${id}`;
    const states = await admin.get(`${path}/deviceStates?$top=1`);
    expect(states.value).toMatchObject([
      { resourceId: FIRST, managedDeviceId: site.deviceId, state: "queued", actor: "admin" },
    ]);
    expect(states.value).toEqual(
      (await admin.get(`${SITE}/clientOperations/${id}/deviceStates`)).value,
    );
    expect((await admin.get(`${path}/scriptResults`)).value).toEqual([]);
    await admin.get("/configurationManagerClientOperations/none/deviceStates", 404);
    await admin.get(`/configurationManagerSites/CM2/clientOperations/${id}/deviceStates`, 404);
    const cancelled = await admin.answer("POST", `${path}/cancel`);
    expect([200, 202]).toContain(cancelled.status);
    await admin.post("/configurationManagerClientOperations/none/cancel", undefined, 404);
  });
});

describe("events of sources", () => {
  test("come newest first, in pages, and in the other order where that is asked for", async () => {
    for (const n of [1, 2, 3]) await other.event("test.event", `event ${n}`);
    const path = "/configurationManagerSites/CM2/events";
    const filter = `$filter=${encodeURIComponent("event eq 'test.event'")}`;
    const messages = ({ value }: { value: { message: string }[] }) =>
      value.map(({ message }) => message);
    const first = await until(async () => {
      const page = await admin.get(`${path}?${filter}&$top=2`);
      return messages(page)[0] === "event 3" ? page : undefined;
    }, "three events");
    expect(messages(first)).toEqual(["event 3", "event 2"]);
    const next = first["@odata.nextLink"].slice(`${site.plane.url}/beta/deviceManagement`.length);
    expect(messages(await admin.get(next))).toEqual(["event 1"]);
    expect(messages(await admin.get(`${path}?${filter}&$orderby=id`))).toEqual([
      "event 1",
      "event 2",
      "event 3",
    ]);
    const [newest] = first.value;
    expect(newest.id).toMatch(/^\d{16}$/);
    expect(await admin.get(`/configurationManagerSiteEvents/${newest.id}`)).toMatchObject(newest);
    await admin.get("/configurationManagerSiteEvents/nonsense", 404);
    const all = await admin.get(`/configurationManagerSiteEvents?${filter}`);
    expect(messages(all)).toEqual(["event 3", "event 2", "event 1"]);
  });

  test("name the records that they are about", async () => {
    const entry = {
      type: "event",
      source: "CM1",
      lease: 1,
      kind: "device",
      at: Date.now(),
    } as const;
    const told = { event: "deletions.waiting", message: "too many", keys: [FIRST, "gone"] };
    const figures = { waiting: 2, records: 3 };
    await site.bridge.inventory({ ...entry, ...told, figures });
    const waiting = await until(async () => {
      const answer = await admin.get(`${SITE}/waitingDeletions`);
      return answer.value.length > 0 ? answer : undefined;
    }, "what waits");
    const records = [
      { id: site.deviceId, key: FIRST, displayName: "PC0" },
      { id: null, key: "gone", displayName: null },
    ];
    expect(waiting.value).toMatchObject([
      { kind: "device", waitingCount: 2, recordCount: 3, approvedDateTime: null, records },
    ]);
    const { value } = await admin.get(`${SITE}/events?$top=1`);
    expect(value).toMatchObject([{ event: "deletions.waiting", records }]);
    await admin.get("/configurationManagerSites/none/waitingDeletions", 404);
  });
});
