import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ActedSite, SITE } from "../testing/acted-site.ts";
import { DEVICES } from "../testing/action-fixture.ts";
import type { ConnectorFixture } from "./connector-fixture.ts";
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

describe("live queries", () => {
  const ask = async () => {
    const body = { target: { resourceIds: DEVICES.slice(0, 2).map(Number) }, query: "Device" };
    const made = await admin.post(`${SITE}/queries`, body, 202);
    await site.commandOf(made.commandId);
    return made;
  };

  test("give their rows page by page, and say when there are no more to come", async () => {
    const made = await ask();
    await site.rows(made.commandId, FIRST, [{ a: 1 }, { a: 2 }]);
    const path = `${SITE}/queries/${made.id}/rows`;
    const first = await until(async () => {
      const page = await admin.get(`${path}?$top=1`);
      return page.value.length === 1 ? page : undefined;
    });
    expect(first).toMatchObject({
      isComplete: false,
      value: [
        { number: 1, resourceId: FIRST, managedDeviceId: id, deviceName: "PC0", row: { a: 1 } },
      ],
    });
    const next = new URL(first["@odata.nextLink"]);
    const second = await admin.get(
      `${next.pathname.replace("/beta/deviceManagement", "")}${next.search}`,
    );
    expect(second.value).toMatchObject([{ number: 2, row: { a: 2 } }]);
    await site.progress(made.commandId, FIRST, "succeeded");
    await site.progress(made.commandId, SECOND, "succeeded");
    await site.taken(made.commandId, 2);
    await site.reaches(made.id, "completed");
    expect(await admin.get(`${path}?after=2`)).toMatchObject({ isComplete: true, value: [] });
    const { value } = await admin.get(`${SITE}/queries?$filter=id%20eq%20'${made.id}'`);
    expect(value).toMatchObject([{ subject: "Device", rowCount: 2 }]);
  });

  test("are for those who may ask", async () => {
    const { id: queryId } = await ask();
    const reader = await plane.client("Reader");
    const path = `${SITE}/queries/${queryId}/rows`;
    expect((await reader.answer("GET", path)).status).toBe(403);
    expect((await reader.answer("POST", `${device}/queries`, { query: "Device" })).status).toBe(
      403,
    );
    expect((await admin.answer("GET", `${path}?after=x`)).status).toBe(400);
    expect((await admin.answer("GET", `${path}?$skip=1`)).status).toBe(400);
  });

  /** Events of a stream, as they come. */
  async function follow(path: string, accept: string, { token } = admin) {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request(
        `${plane.url}/beta/deviceManagement${path}`,
        {
          ca: readFileSync(join(plane.folder, "ca.pem")),
          agent: false,
          headers: { authorization: `Bearer ${token}`, accept },
        },
        resolve,
      )
        .on("error", reject)
        .end();
    });
    let text = "";
    response.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    let isEnded = false;
    response.on("end", () => {
      isEnded = true;
    });
    response.on("error", () => {});
    return { response, text: () => text, isEnded: () => isEnded };
  }

  test("stream rows as they arrive and end with the operation as it ended", async () => {
    const made = await ask();
    const { response, text, isEnded } = await follow(
      `${SITE}/queries/${made.id}/rows?stream=true`,
      "application/x-ndjson",
    );
    expect(response.headers["content-type"]).toBe("application/x-ndjson");
    await site.rows(made.commandId, FIRST, [{ a: 1 }]);
    await until(() => text().includes('"a":1'), "the first row");
    expect(text()).not.toContain('"event":"end"');
    await site.rows(made.commandId, SECOND, [{ a: 2 }]);
    await until(() => text().includes('"a":2'), "the second row");
    await site.progress(made.commandId, FIRST, "succeeded");
    await site.progress(made.commandId, SECOND, "succeeded");
    await site.taken(made.commandId, 2);
    await until(isEnded, "the end of the stream");
    const events = text()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.filter(({ event }) => event === "row").map(({ number }) => number)).toEqual([
      1, 2,
    ]);
    expect(events.at(-1)).toMatchObject({
      event: "end",
      isComplete: true,
      after: 2,
      operation: { state: "completed", deviceCounts: { succeeded: 2 } },
    });
  });

  test("stream as server-sent events, and go on after the row that was seen", async () => {
    const made = await ask();
    await site.rows(made.commandId, FIRST, [{ a: 1 }, { a: 2 }]);
    const rowCount = async () => (await site.operation(made.id)).rowCount;
    await until(async () => (await rowCount()) === 2, "both rows");
    await bridge.report({ id: made.commandId, state: "failed" });
    await site.reaches(made.id, "failed");
    const { response, text, isEnded } = await follow(
      `${SITE}/queries/${made.id}/rows?stream=true&after=1`,
      "text/event-stream",
    );
    await until(isEnded, "the end of the stream");
    expect(response.headers["content-type"]).toMatch(/^text\/event-stream/);
    expect(text()).toMatch(/^event: row\nid: 2\ndata: \{"number":2,/);
    expect(text()).toContain("event: end\ndata: ");
    expect(text()).not.toContain('"number":1');
  });

  test("a client that leaves ends its stream, and others go on", async () => {
    const made = await ask();
    const path = `${SITE}/queries/${made.id}/rows?stream=true`;
    const [left, stays] = [await follow(path, "*/*"), await follow(path, "*/*")];
    await until(() => left.text().includes("progress"));
    left.response.destroy();
    await site.rows(made.commandId, FIRST, [{ a: 1 }]);
    await until(() => stays.text().includes('"a":1'));
    stays.response.destroy();
  });

  test("one person follows twenty at a time, so that there is room for others", async () => {
    const made = await ask();
    const path = `${SITE}/queries/${made.id}/rows?stream=true`;
    const streams: Awaited<ReturnType<typeof follow>>[] = [];
    for (let n = 0; n < 20; n += 1) {
      const stream = await follow(path, "*/*");
      await until(() => stream.text().includes("progress"));
      streams.push(stream);
    }
    expect((await admin.answer("GET", path)).status).toBe(429);
    const other = await plane.client("Helpdesk operator");
    streams.push(await follow(path, "*/*", other));
    await until(() => streams.at(-1)?.text().includes("progress"));
    streams.shift()?.response.destroy();
    await until(async () => {
      const next = await follow(path, "*/*");
      streams.push(next);
      return next.response.statusCode === 200;
    });
    for (const { response } of streams) response.destroy();
  });
});

describe("a recovery key", () => {
  test("is read once with the secret that the request was answered with", async () => {
    const made = await admin.post(`${device}/revealRecoveryKey`, undefined, 202);
    const path = `${device}/revealRecoveryKey/${made.id}/read`;
    const { secret } = made;
    expect((await admin.answer("POST", path, { secret })).status).toBe(409);
    await site.commandOf(made.commandId);
    const keys = [{ id: "k", recoveryKey: "111111-222222" }];
    await bridge.report({
      id: made.commandId,
      state: "succeeded",
      result: { source: "CM1", devices: 1, keys },
    });
    await site.reaches(made.id, "completed");
    const shown = [
      await admin.get(`/commands/${made.commandId}`),
      await admin.get(`${SITE}/clientOperations/${made.id}`),
      await admin.get("/auditEvents?$top=1000"),
    ];
    expect(JSON.stringify(shown)).not.toContain("111111");
    const other = await plane.client("Intune administrator");
    expect((await other.answer("POST", path, { secret })).status).toBe(403);
    const wrong = Buffer.alloc(32, 1).toString("base64url");
    expect((await admin.answer("POST", path, { secret: wrong })).status).toBe(403);
    expect(await admin.post(path, { secret })).toEqual({
      value: { source: "CM1", devices: 1, keys },
    });
    expect((await admin.answer("POST", path, { secret })).status).toBe(404);
    const { value } = await admin.get("/auditEvents?$filter=activity%20eq%20'recovery-key.read'");
    expect(value).toMatchObject([{ actor: "admin", details: { id: made.id } }]);
  });

  test.each([
    ["of no operation", async () => "no-such-id"],
    [
      "of another action",
      async () =>
        (await admin.post(`${device}/clientOperations`, { notification: "quickScan" }, 202)).id,
    ],
  ])("is 404 with words under an id %s, whatever the body says", async (_, idOf) => {
    const path = `${device}/revealRecoveryKey/${await idOf()}/read`;
    for (const body of [{ secret: "A".repeat(43) }, {}, undefined]) {
      const { status, body: answer } = await admin.answer("POST", path, body);
      expect([status, answer.error.innerError.code]).toEqual([404, "recovery-key-unknown"]);
      expect(answer.error.message).toContain("No recovery key of this device was asked for under");
    }
  });

  test("is not for readers", async () => {
    const reader = await plane.client("Reader");
    expect((await reader.answer("POST", `${device}/revealRecoveryKey`)).status).toBe(403);
  });
});
