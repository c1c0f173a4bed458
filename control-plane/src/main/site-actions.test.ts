import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ActedSite, SITE } from "../testing/acted-site.ts";
import { APPLICATION_GUID, COLLECTION, DEVICES, SCRIPT } from "../testing/action-fixture.ts";
import { recordsOf, told } from "../testing/inventory-fixture.ts";
import { ConnectorFixture } from "./connector-fixture.ts";
import type { ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

const [FIRST = "", SECOND = ""] = DEVICES;
let site: ActedSite;
let plane: ControlPlaneFixture;
let admin: ApiClient;
let bridge: ConnectorFixture;
let device: string;
let id: string;

beforeAll(async () => {
  site = await ActedSite.start();
  ({ plane, admin, bridge, device, deviceId: id } = site);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await site.holdLease();
});

describe("triggerConfigurationManagerAction", () => {
  const body = (action: string) => ({
    configurationManagerAction: {
      "@odata.type": "#microsoft.graph.configurationManagerAction",
      action,
    },
  });
  const path = () => `${device}/triggerConfigurationManagerAction`;

  test.each([
    "refreshMachinePolicy",
    "refreshUserPolicy",
    "wakeUpClient",
    "appEvaluation",
    "quickScan",
    "fullScan",
    "windowsDefenderUpdateSignatures",
  ])("%s is answered with 204 and goes to the bridge as a notification", async (action) => {
    expect(await admin.post(path(), body(action), 204)).toBe("");
    const command = await until(() =>
      bridge.commands.find(({ payload }) => JSON.stringify(payload).includes(`"${action}"`)),
    );
    expect(command).toMatchObject({
      kind: "site.notify",
      actor: "admin",
      payload: { source: "CM1", target: { kind: "devices", resourceIds: [Number(FIRST)] } },
    });
  });

  test.each([undefined, "microsoft.graph.configurationManagerAction"])(
    "is taken with %s as @odata.type, too",
    async (type) => {
      const { configurationManagerAction: action } = body("quickScan");
      const { "@odata.type": _, ...untyped } = action;
      const wanted = type === undefined ? untyped : { ...untyped, "@odata.type": type };
      await admin.post(path(), { configurationManagerAction: wanted }, 204);
    },
  );

  test("shows in deviceActionResults of the device in Graph's words", async () => {
    await admin.post(path(), body("refreshMachinePolicy"), 204);
    const { value } = await admin.get(`${SITE}/clientOperations?$orderby=createdDateTime%20desc`);
    const commandId = value[0].commandId as string;
    await site.commandOf(commandId);
    const result = async () => {
      const { deviceActionResults } = await admin.get(device);
      return deviceActionResults.find(
        (each: { actionName: string }) => each.actionName === "refreshMachinePolicy",
      );
    };
    expect(await result()).toMatchObject({ actionState: "pending", errorCode: 0 });
    await site.progress(commandId, FIRST, "running");
    await until(async () => (await result()).actionState === "active");
    await site.progress(commandId, FIRST, "succeeded");
    await until(async () => (await result()).actionState === "done");
    expect(await result()).toMatchObject({ actionDeliveryStatus: "deliveredToOnPremisesServer" });
  });

  test.each([
    ["another action", body("restart")],
    ["another type", { configurationManagerAction: { "@odata.type": "#x", action: "quickScan" } }],
    ["no action", {}],
  ])("with %s is refused", async (_, wrong) => {
    expect((await admin.answer("POST", path(), wrong)).status).toBe(400);
  });

  test("of a device that is none is 404, of one without a site too", async () => {
    await admin.post("/managedDevices", { id: "own-device" }, 201);
    for (const other of ["/managedDevices/nothing", "/managedDevices/own-device"]) {
      const answer = await admin.answer(
        "POST",
        `${other}/triggerConfigurationManagerAction`,
        body("quickScan"),
      );
      expect(answer.status).toBe(404);
    }
  });
});

describe("client operations", () => {
  const path = `${SITE}/clientOperations`;
  const onCollection = { target: { collectionId: COLLECTION }, notification: "collectLogs" };

  test("on a collection are listed, read, and each device of them", async () => {
    const made = await admin.post(path, onCollection, 202);
    expect(made).toMatchObject({
      configurationManagerSite: "CM1",
      kind: "notify",
      action: "collectLogs",
      state: "queued",
      target: { kind: "collection", collectionId: COLLECTION },
    });
    await site.commandOf(made.commandId);
    await site.taken(made.commandId, 2);
    await site.progress(made.commandId, FIRST, "succeeded");
    await site.progress(made.commandId, SECOND, "running");
    const running = await until(async () => {
      const found = await site.operation(made.id);
      return found.deviceCounts.running === 1 ? found : undefined;
    });
    expect(running).toMatchObject({ state: "running", deviceCounts: { succeeded: 1 } });
    const { value } = await admin.get(`${path}/${made.id}/deviceStates?$orderby=resourceId`);
    expect(value).toMatchObject([
      { resourceId: FIRST, managedDeviceId: id, deviceName: "PC0", state: "succeeded" },
      { resourceId: SECOND, state: "running" },
    ]);
    await site.progress(made.commandId, SECOND, "succeeded");
    expect(await site.reaches(made.id, "completed")).toMatchObject({ expectedDeviceCount: 2 });
    const ofDevice = await admin.get(
      `${device}/clientOperations?$filter=action%20eq%20'collectLogs'`,
    );
    expect(ofDevice.value).toMatchObject([{ clientOperationId: made.id, state: "succeeded" }]);
    expect(
      (await admin.answer("GET", `/configurationManagerSites/CM2/clientOperations/${made.id}`))
        .status,
    ).toBe(404);
  });

  test("that wait for approval say with which words somebody gives it, in the operation, of each device and in its timeline", async () => {
    const made = await admin.post(
      `${device}/clientOperations`,
      { notification: "collectLogs" },
      202,
    );
    await site.commandOf(made.commandId);
    const words = `comgmt-bridge approve ${made.commandId}`;
    const rule = "guardrails.comgmt-bridge.actions.approval";
    site.bridge.progress(made.commandId, { code: "awaiting-approval", message: words, rule });
    const reason = `${words} (${rule})`;
    expect(await site.reaches(made.id, "waitingForApproval")).toMatchObject({ reason });
    const { value } = await admin.get(`${path}/${made.id}/deviceStates`);
    expect(value).toMatchObject([{ resourceId: FIRST, state: "queued", reason }]);
    const timeline = await admin.get(
      `${device}/timeline?$filter=${encodeURIComponent("kind eq 'action.waiting'")}`,
    );
    expect(timeline.value).toMatchObject([
      { title: "Collect logs waits for approval", actor: expect.any(String), details: { reason } },
    ]);
    site.bridge.progress(made.commandId);
    expect(await site.reaches(made.id, "sent")).toMatchObject({ reason: null });
    await site.taken(made.commandId, 1);
    await site.progress(made.commandId, FIRST, "succeeded");
    expect(await site.reaches(made.id, "completed")).toMatchObject({ reason: null });
  });

  test("whose devices the site counts and does not name end with the counts", async () => {
    const made = await admin.post(path, onCollection, 202);
    await site.commandOf(made.commandId);
    await site.taken(made.commandId, 2);
    const devices = [FIRST, SECOND].map((key) => ({ key, state: "unknown" as const }));
    await site.bridge.actions({
      ...{ type: "progress", source: "CM1", commandId: made.commandId, at: Date.now(), devices },
      counts: { operationId: 7, devices: { succeeded: 1, failed: 1 } },
    });
    expect(await site.reaches(made.id, "completed")).toMatchObject({
      deviceCounts: { unknown: 2 },
      reportedDeviceCounts: { succeeded: 1, failed: 1 },
      reason: "the site counts 1 succeeded, 1 failed and does not say which",
    });
  });

  test("the same Idempotency-Key is the same operation, another body under it is refused", async () => {
    const headers = { "idempotency-key": '"6e1c"' };
    const first = await admin.answer("POST", path, onCollection, headers);
    const again = await admin.answer("POST", path, onCollection, headers);
    expect([first.status, again.status]).toEqual([202, 202]);
    expect(again.body.id).toBe(first.body.id);
    const other = { ...onCollection, notification: "discoveryData" };
    expect((await admin.answer("POST", path, other, headers)).status).toBe(422);
    const wrong = { "idempotency-key": "a b" };
    expect((await admin.answer("POST", path, onCollection, wrong)).status).toBe(400);
  });

  test.each([
    ["no target", { notification: "restart" }],
    [
      "two targets",
      { target: { collectionId: COLLECTION, resourceIds: [1] }, notification: "restart" },
    ],
    [
      "over 1,000 devices",
      { target: { resourceIds: Array(1_001).fill(1) }, notification: "restart" },
    ],
    ["an expiry in the past", { ...onCollection, expirationDateTime: "2020-01-01T00:00:00Z" }],
    ["an expiry beyond a week", { ...onCollection, expirationDateTime: "2099-01-01T00:00:00Z" }],
    ["another notification", { target: { collectionId: COLLECTION }, notification: "format" }],
  ])("with %s are refused", async (_, body) => {
    expect((await admin.answer("POST", path, body)).status).toBe(400);
  });

  test("are cancelled by who asked, and by nobody once they have ended", async () => {
    const made = await admin.post(path, onCollection, 202);
    await site.commandOf(made.commandId);
    await admin.post(`${path}/${made.id}/cancel`, undefined, 202);
    const cancel = await until(() =>
      bridge.commands.find(({ supersedes }) => supersedes.includes(made.commandId)),
    );
    expect(cancel.kind).toBe("command.cancel");
    await bridge.report({ id: made.commandId, state: "cancelled" });
    await site.reaches(made.id, "cancelled");
    expect((await admin.answer("POST", `${path}/${made.id}/cancel`)).status).toBe(409);
  });

  test("are withdrawn where the bridge was away, and never come to it", async () => {
    await bridge.disconnect();
    const withdrawn = await admin.post(path, onCollection, 202);
    const stays = await admin.post(path, onCollection, 202);
    const isSigned = async () =>
      (await admin.get(`/commands/${stays.commandId}`)).sequenceNumber !== null;
    await until(isSigned, "the commands' numbers");
    expect(await admin.post(`${path}/${withdrawn.id}/cancel`, undefined, 200)).toMatchObject({
      state: "cancelled",
      reason: "Cancelled by admin",
    });
    await bridge.connect();
    await site.commandOf(stays.commandId);
    expect(bridge.commands.some((each) => each.id === withdrawn.commandId)).toBe(false);
  });

  test("are for those with the permission, a restart for fewer", async () => {
    const helpdesk = await plane.client("Helpdesk operator");
    const reader = await plane.client("Reader");
    const restart = { ...onCollection, notification: "restart" };
    expect((await helpdesk.answer("POST", path, onCollection)).status).toBe(202);
    expect((await helpdesk.answer("POST", path, restart)).status).toBe(403);
    expect((await reader.answer("POST", path, onCollection)).status).toBe(403);
    expect((await reader.answer("GET", path)).status).toBe(200);
    expect((await admin.answer("POST", path, restart)).status).toBe(202);
  });

  test("of a site that nobody reads are refused with 503 and Retry-After", async () => {
    const other = await ConnectorFixture.enrol(plane, admin, "comgmt-bridge");
    await other.connect();
    const { lease } = await other.lease("CM9", "configmgr");
    const record = told("5", 1, { identity: { Name: "PC9" } });
    await other.inventory({ ...recordsOf(lease, record), source: "CM9" });
    await until(
      async () => (await admin.get("/managedDevices?$filter=deviceName%20eq%20'PC9'")).value[0],
    );
    await admin.patch(`/connectors/${other.id}`, { isDisabled: true });
    const body = { target: { resourceIds: [5] }, notification: "discoveryData" };
    const answer = await admin.answer(
      "POST",
      "/configurationManagerSites/CM9/clientOperations",
      body,
    );
    expect(answer.status).toBe(503);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(answer.body.error).toMatchObject({ innerError: { code: "site-unattended" } });
    await other[Symbol.asyncDispose]();
  });
});

describe("scripts and applications", () => {
  const { version, sha256 } = SCRIPT;
  const path = `${SITE}/scripts/${SCRIPT.guid}/run`;
  const target = { resourceIds: [Number(FIRST)] };

  test("a script runs as it was looked at, and its output is for those who may run some", async () => {
    const parameters = [{ name: "Password", value: "hunter2" }];
    const made = await admin.post(path, { target, version, sha256, parameters }, 202);
    expect(made.details).toEqual({
      version,
      sha256,
      parameters: ["Password"],
      scriptName: "Clean up",
    });
    expect(await site.commandOf(made.commandId)).toMatchObject({ payload: { parameters } });
    const shown = [
      await admin.get(`/commands/${made.commandId}`),
      await admin.get("/auditEvents?$top=1000"),
    ];
    expect(JSON.stringify(shown)).not.toContain("hunter2");
    await site.taken(made.commandId, 1);
    await site.progress(made.commandId, FIRST, "succeeded", { exitCode: 3, output: "done" });
    await site.reaches(made.id, "completed");
    const results = `${SITE}/clientOperations/${made.id}/scriptResults`;
    expect((await admin.get(results)).value).toMatchObject([{ exitCode: 3, output: "done" }]);
    const reader = await plane.client("Reader");
    expect((await reader.answer("GET", results)).status).toBe(403);
    const states = await reader.get(`${SITE}/clientOperations/${made.id}/deviceStates`);
    expect(JSON.stringify(states)).not.toContain("done");
  });

  test.each([
    ["without what was looked at", { target }, 400],
    ["with another hash", { target, version, sha256: "cd".repeat(32) }, 409],
    ["with another version", { target, version: "7", sha256 }, 409],
  ])("a script %s is refused", async (_, body, status) => {
    expect((await admin.answer("POST", path, body)).status).toBe(status);
  });

  test.each(["install", "uninstall", "repair", "reevaluate"])(
    "an application is asked to %s, on a device and on a collection",
    async (action) => {
      const below = `applications/${APPLICATION_GUID}/${action}`;
      const one = await admin.post(`${device}/${below}`, undefined, 202);
      const many = await admin.post(
        `${SITE}/${below}`,
        { target: { collectionId: COLLECTION } },
        202,
      );
      for (const { commandId } of [one, many]) {
        expect(await site.commandOf(commandId)).toMatchObject({
          kind: "site.application",
          payload: { applicationId: APPLICATION_GUID, action },
        });
      }
    },
  );

  test("properties that the bridge is still at are not set before it says so, or that they cannot be", async () => {
    const path = `${device}/setConfigurationManagerProperties`;
    const made = await admin.post(path, { set: { owner: "ada" }, remove: [] }, 202);
    await site.taken(made.commandId, 1);
    expect(await site.reaches(made.id, "running")).toMatchObject({
      deviceCounts: { queued: 1 },
    });
    await site.progress(made.commandId, FIRST, "failed");
    expect(await site.reaches(made.id, "completed")).toMatchObject({
      deviceCounts: { failed: 1 },
    });
  });

  test("properties are set and removed, and devices are read anew", async () => {
    const body = { set: { owner: "ada" }, remove: ["room"] };
    const made = await admin.post(`${device}/setConfigurationManagerProperties`, body, 202);
    expect((await site.commandOf(made.commandId)).payload).toEqual({
      ...{ source: "CM1", resourceId: Number(FIRST) },
      ...body,
    });
    await site.taken(made.commandId, 1);
    await site.reaches(made.id, "running");
    await site.progress(made.commandId, FIRST, "succeeded");
    await site.reaches(made.id, "completed");
    const empty = await admin.answer("POST", `${device}/setConfigurationManagerProperties`, {});
    expect(empty.status).toBe(400);
    const read = await admin.post(`${device}/refreshConfigurationManagerInventory`, undefined, 202);
    expect((await site.commandOf(read.commandId)).payload).toEqual({
      source: "CM1",
      resourceIds: [Number(FIRST)],
    });
  });
});
