import { readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { DIRECTION_HEADER, LONG_POLL_PATH, SESSION_HEADER } from "@isthmus/shared/link/long-poll";
import { ENROLMENT_PATH } from "@isthmus/shared/link/messages";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConnectorFixture } from "./connector-fixture.ts";
import { ControlPlaneFixture } from "./control-plane-fixture.ts";

const folder = temporaryFolder();
let plane: ControlPlaneFixture;

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
});

afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

describe("a stranger on long-poll", () => {
  async function session(): Promise<string> {
    const { headers } = await plane.send(LONG_POLL_PATH, { method: "POST" });
    return String(headers[SESSION_HEADER]);
  }

  /** A request up whose body is `length` long and of which `sent` bytes are sent. */
  function up(of: { session: string; length: number; sent: number }) {
    const sending = request(`${plane.url}${LONG_POLL_PATH}`, {
      method: "POST",
      ca: readFileSync(join(plane.folder, "ca.pem")),
      agent: false,
      headers: {
        [SESSION_HEADER]: of.session,
        [DIRECTION_HEADER]: "up",
        "content-length": of.length,
      },
    });
    const status = new Promise<number | undefined>((resolve) => {
      sending.on("response", (response) => resolve(response.resume().statusCode));
      sending.on("error", () => resolve(undefined));
    });
    sending.write(Buffer.alloc(of.sent));
    return { status, [Symbol.dispose]: () => void sending.destroy() };
  }

  test("may send a hello's worth before its hello, and no more", async () => {
    using small = up({ session: await session(), length: 16_384, sent: 16_384 });
    // Zeros are frames without a payload, too many of them.
    expect(await small.status).toBe(400);
    using large = up({ session: await session(), length: 2_097_152, sent: 1 });
    expect(await large.status).toBe(400);
  });

  test("has one body in memory, however many requests it opens", async () => {
    const one = await session();
    const requests = Array.from({ length: 21 }, () =>
      up({ session: one, length: 16_000, sent: 1_000 }),
    );
    const answers: (number | undefined)[] = [];
    for (const { status } of requests) void status.then((code) => answers.push(code));
    await expect.poll(() => answers.length).toBe(20);
    expect(new Set(answers)).toEqual(new Set([409]));
    // The last one is being read and never ends.
    for (const each of requests) each[Symbol.dispose]();
  });
});

test("strangers who never end their enrolment keep nobody from enrolling", async () => {
  const admin = await plane.client();
  const unfinished = Array.from({ length: 40 }, () => {
    const sending = request(`${plane.url}${ENROLMENT_PATH}`, {
      method: "POST",
      ca: readFileSync(join(plane.folder, "ca.pem")),
      agent: false,
      headers: { "content-length": 1_000 },
    });
    sending.on("error", () => undefined);
    const isSent = new Promise<void>((resolve) => sending.write("{", () => resolve()));
    return { sending, isSent };
  });
  await Promise.all(unfinished.map(({ isSent }) => isSent));
  await using connector = await ConnectorFixture.enrol(plane, admin, "tunnel-gateway");
  expect(connector.id).toMatch(/^[0-9a-f-]{36}$/);
  for (const { sending } of unfinished) sending.destroy();
});

test("a configuration nested without end is refused as the request's fault", async () => {
  const admin = await plane.client();
  await using connector = await ConnectorFixture.enrol(plane, admin, "cert-connector");
  const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const { status } = await plane.send(
    `/beta/deviceManagement/connectors/${connector.id}/desiredConfiguration`,
    {
      method: "PUT",
      body: `{"configuration":{"a":${nested}}}`,
      headers: { authorization: `Bearer ${admin.token}` },
    },
  );
  expect(status).toBe(400);
});
