import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { DEVICE, SYSTEM } from "../protocol/admin-service/rows.ts";
import { asking, clientOf } from "../testing/site-under-test.ts";
import {
  type Behaviour,
  type StrictAdminService,
  startStrictAdminService,
} from "../testing/strict-admin-service.ts";
import { tokenCredential } from "./site-credential.ts";

const CMPIVOT = "v1.0/Device(16777220)/AdminService.RunCMPivot";

async function siteThat(...behaviours: readonly Behaviour[]): Promise<StrictAdminService> {
  const service = await startStrictAdminService();
  let count = 0;
  service.behave = () => behaviours[count++] ?? { kind: "serve" };
  return service;
}

const answerOf = (status: number, body: unknown = "", headers = {}): Behaviour => ({
  ...{ kind: "answer", status, body, headers },
});

test("rows come with the bytes they were in, over one kept connection", async () => {
  await using service = await siteThat();
  using client = clientOf(service);
  const page = await client.rows(SYSTEM, { top: 2 }, asking());
  expect(page.rows[0]).toEqual({ ResourceId: 16777220, Name: "PC16777220" });
  expect(page.body.whole.toString()).toContain("@odata.context");
  expect(page.servedAt).toBeGreaterThan(Date.now() - 60_000);
  await client.rows(SYSTEM, { top: 1 }, asking());
  expect(service.requests.map(({ connection }) => connection)).toEqual([1, 1]);
});

test("an object by its key is one, though it comes in a list", async () => {
  await using service = await siteThat(
    answerOf(200, { value: [{ ScriptGuid: "a", Script: "b" }] }),
  );
  using client = clientOf(service);
  const scripts = { route: "wmi", name: "SMS_Scripts" } as const;
  expect(await client.one(scripts, 7, asking())).toEqual({ ScriptGuid: "a", Script: "b" });
  expect(service.requests[0]?.path).toBe("wmi/SMS_Scripts(7)");
});

test("an action goes out once, on a connection of its own, and its answer comes back", async () => {
  await using service = await siteThat(
    { kind: "serve" },
    answerOf(200, { value: { OperationId: 5 } }),
  );
  using client = clientOf(service);
  await client.rows(SYSTEM, { top: 1 }, asking());
  const body = await client.call(CMPIVOT, { InputQuery: "OS" }, { ...asking(), asked: "action" });
  expect(JSON.parse(body.toString())).toEqual({ value: { OperationId: 5 } });
  expect(service.requests[1]).toMatchObject({
    ...{ method: "POST", path: CMPIVOT, connection: 2, body: '{"InputQuery":"OS"}' },
  });
});

test("what may be repeated is, as often as configured and no more", async () => {
  await using service = await siteThat(answerOf(503), { kind: "cut" });
  using client = clientOf(service, { limits: { retries: 2 } });
  expect((await client.rows(SYSTEM, { top: 1 }, asking())).rows).toHaveLength(1);
  service.requests.length = 0;
  service.behave = () => answerOf(503);
  expect(await rejectedCode(() => client.rows(SYSTEM, {}, asking()))).toBe("site-unavailable");
  expect(service.requests).toHaveLength(3);
});

test.each([400, 401, 403, 404])("status %i is final at once", async (status) => {
  await using service = await siteThat(answerOf(status));
  using client = clientOf(service, { limits: { retries: 3 } });
  await expect(client.rows(SYSTEM, {}, asking())).rejects.toThrow(ConnectorError);
  expect(service.requests).toHaveLength(1);
});

test("an action whose answer does not come has an unknown outcome and is not repeated", async () => {
  for (const behaviour of [{ kind: "cut" }, { kind: "hang" }] as const) {
    await using service = await siteThat(behaviour);
    using client = clientOf(service, { limits: { retries: 3, firstByteTimeoutMs: 100 } });
    const asked = { ...asking("command"), asked: "action" } as const;
    const code = await rejectedCode(() => client.call(CMPIVOT, {}, asked));
    expect(code).toBe("site-outcome-unknown");
    await until(() => service.requests.length > 0);
    expect(service.requests).toHaveLength(1);
  }
});

test("an action that was given up after it was sent has an unknown outcome, too", async () => {
  await using service = await siteThat({ kind: "hang" });
  using client = clientOf(service);
  const giving = new AbortController();
  const asked = { lane: "command", signal: giving.signal, asked: "action" } as const;
  const code = rejectedCode(() => client.call(CMPIVOT, {}, asked));
  await until(() => service.requests.length === 1);
  giving.abort();
  expect(await code).toBe("site-outcome-unknown");
});

test("a provider that says nothing, or stops in the middle, is not waited for", async () => {
  await using service = await siteThat({ kind: "hang" }, { kind: "hang", head: true });
  using silent = clientOf(service, { limits: { firstByteTimeoutMs: 100 } });
  const first = silent.rows(SYSTEM, {}, asking());
  await expect(first).rejects.toThrow(/sent nothing for 100 ms/);
  await until(() => service.requests.length === 1);
  using halting = clientOf(service, { limits: { timeoutMs: 1_000 } });
  const second = halting.rows(SYSTEM, {}, asking());
  await expect(second).rejects.toThrow(/no whole answer in 1000 ms/);
});

test("whoever gives up is let go at once, and the place is free again", async () => {
  await using service = await siteThat({ kind: "hang" });
  using client = clientOf(service);
  const giving = new AbortController();
  const asked = client.rows(SYSTEM, {}, { lane: "hint", signal: giving.signal });
  await until(() => service.requests.length === 1);
  giving.abort(new Error("enough"));
  await expect(asked).rejects.toThrow("enough");
  expect(client.inFlight).toBe(0);
});

test("an answer at the bound is taken and one byte more refused", async () => {
  const bodyOf = (length: number) => `{"value":[]}${" ".repeat(length - 12)}`;
  await using service = await siteThat(
    answerOf(200, bodyOf(65_536)),
    answerOf(200, bodyOf(65_537)),
  );
  using client = clientOf(service);
  expect((await client.rows(SYSTEM, {}, asking())).rows).toEqual([]);
  expect(await rejectedCode(() => client.rows(SYSTEM, {}, asking()))).toBe("site-answer-too-large");
});

test("a redirect is refused: the credentials go nowhere else", async () => {
  await using other = await startStrictAdminService();
  const location = `${other.url}/AdminService_TokenAuth/wmi/SMS_R_System`;
  await using service = await siteThat(answerOf(307, "", { location }));
  using client = clientOf(service, { limits: { retries: 2 } });
  expect(await rejectedCode(() => client.rows(SYSTEM, {}, asking()))).toBe("site-redirect");
  expect(other.requests).toEqual([]);
});

test("after failures in a row the site is left alone, then tried once, then used again", async () => {
  const clock = new FakeClock(Date.now());
  // The third is the witness.
  await using service = await siteThat({ kind: "cut" }, { kind: "cut" }, { kind: "cut" });
  const limits = { breakerFailures: 2, breakerOpenMs: 1_000 };
  using client = clientOf(service, { limits, parts: { clock } });
  const codeOfAsking = () => rejectedCode(() => client.rows(SYSTEM, { top: 1 }, asking()));
  expect([await codeOfAsking(), await codeOfAsking()]).toEqual([
    "site-interrupted",
    "site-interrupted",
  ]);
  await until(() => client.breaker.kind === "open");
  expect(await codeOfAsking()).toBe("site-circuit-open");
  await expect(client.rows(SYSTEM, { top: 1 }, asking())).rejects.toThrow(/last attempt: .*ended/);
  expect(service.requests).toHaveLength(3);
  clock.advance(1_000);
  expect([await codeOfAsking(), client.breaker.kind]).toEqual(["nothing", "closed"]);
});

const OTHERS = { route: "wmi", name: "SMS_Collection" } as const;
const EMPTY = answerOf(200, { value: [] });
const hang = { kind: "hang" } as const;

/** A site that answers for all classes but one. */
async function siteWith(ill: Behaviour): Promise<StrictAdminService> {
  const service = await siteThat();
  service.behave = ({ path }) => (path.includes(OTHERS.name) ? ill : { kind: "serve" });
  return service;
}

test.each([
  ["hangs", hang, "site-timeout"],
  ["ends connections", { kind: "cut" }, "site-interrupted"],
  ["is away behind the front", answerOf(503), "site-unavailable"],
] as const)(
  "a class that %s closes the site to nobody, however often it is asked",
  async (_what, ill, code) => {
    await using service = await siteWith(ill);
    using client = clientOf(service, { limits: { breakerFailures: 2, firstByteTimeoutMs: 200 } });
    for (let round = 1; round <= 3; round += 1) {
      for (let times = 0; times < 2; times += 1) {
        expect(await rejectedCode(() => client.rows(OTHERS, {}, asking()))).toBe(code);
      }
      // The witness: one row of another class.
      const isClosed = () => JSON.stringify(client.breaker) === '{"kind":"closed","failures":0}';
      await until(isClosed);
    }
    const witnesses = service.requests.filter(({ path }) => path === "wmi/SMS_R_System?$top=1");
    expect([witnesses.length, service.requests.length]).toEqual([3, 9]);
  },
);

test("where the witness is not answered either the site is left alone, and a hung class does not keep it so", async () => {
  const clock = new FakeClock(Date.now());
  await using service = await siteThat(hang, hang, hang, hang);
  const limits = { breakerFailures: 2, firstByteTimeoutMs: 200 };
  using client = clientOf(service, { limits, parts: { clock } });
  const ask = () => rejectedCode(() => client.rows(OTHERS, {}, asking()));
  expect([await ask(), await ask()]).toEqual(["site-timeout", "site-timeout"]);
  await until(() => client.breaker.kind === "open");
  expect([await ask(), service.requests.length]).toEqual(["site-circuit-open", 3]);
  clock.advance(1_000);
  expect(await ask()).toBe("site-timeout");
  await until(() => client.breaker.kind === "closed");
  expect(service.requests).toHaveLength(5);
});

test("two classes that hang do not keep the site closed: the witness is of another one each time", async () => {
  const clock = new FakeClock(Date.now());
  await using service = await siteThat();
  const ill = [OTHERS.name, SYSTEM.name];
  let areIll = false;
  service.behave = ({ path }) => (areIll && ill.some((name) => path.includes(name)) ? hang : EMPTY);
  const limits = { breakerFailures: 2, firstByteTimeoutMs: 200 };
  using client = clientOf(service, { limits, parts: { clock } });
  await client.rows(DEVICE, { top: 1 }, asking());
  await client.rows(SYSTEM, { top: 1 }, asking());
  areIll = true;
  const ask = () => rejectedCode(() => client.rows(OTHERS, {}, asking()));
  expect([await ask(), await ask()]).toEqual(["site-timeout", "site-timeout"]);
  await until(() => client.breaker.kind === "open");
  clock.advance(1_000);
  expect(await ask()).toBe("site-timeout");
  await until(() => client.breaker.kind === "closed");
});

test("actions that hang close the site to nobody either", async () => {
  await using service = await siteThat();
  service.behave = ({ method }) => (method === "POST" ? hang : { kind: "serve" });
  using client = clientOf(service, { limits: { breakerFailures: 1, firstByteTimeoutMs: 200 } });
  const call = () => client.call(CMPIVOT, {}, { ...asking("command"), asked: "action" });
  for (let times = 0; times < 3; times += 1) {
    expect(await rejectedCode(call)).toBe("site-outcome-unknown");
    expect((await client.rows(SYSTEM, {}, asking())).rows.length).toBeGreaterThan(0);
  }
  expect(client.breaker.kind).toBe("closed");
});

test("a class that asks to be left alone keeps no other waiting, and a site that throttles keeps all", async () => {
  const waits: number[] = [];
  const clock = new FakeClock(Date.parse("2026-01-01"));
  const pause = async (ms: number) => {
    waits.push(ms);
    clock.advance(ms);
  };
  const wait = { "retry-after": "60" };
  await using service = await siteThat(
    ...[answerOf(503, "", wait), EMPTY, EMPTY, answerOf(429, "", wait), EMPTY],
  );
  using client = clientOf(service, { parts: { clock, pause } });
  const code = () => rejectedCode(() => client.rows(OTHERS, {}, asking()));
  expect(await code()).toBe("site-unavailable");
  await client.rows(SYSTEM, {}, asking());
  expect(waits).toEqual([]);
  await client.rows(OTHERS, {}, asking());
  expect([waits, await code()]).toEqual([[60_000], "site-throttled"]);
  await client.rows(SYSTEM, {}, asking());
  expect(waits).toEqual([60_000, 60_000]);
});

test("refusals leave the breaker closed: the provider is there", async () => {
  await using service = await siteThat(...Array.from({ length: 3 }, () => answerOf(401)));
  using client = clientOf(service, { limits: { breakerFailures: 1 } });
  for (let count = 0; count < 3; count += 1) {
    expect(await rejectedCode(() => client.rows(SYSTEM, {}, asking()))).toBe("site-unauthorized");
  }
  expect(client.breaker.kind).toBe("closed");
});

test("a token that was renewed while the old one was still known is used at once, by an action too", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "token");
  writeFileSync(file, "first");
  await using service = await siteThat(answerOf(200, {}), answerOf(200, {}));
  using client = clientOf(service, { credential: tokenCredential(file, new FakeClock(1)) });
  const call = () => client.call(CMPIVOT, {}, { ...asking(), asked: "action" });
  service.token = "first";
  await call();
  writeFileSync(file, "second");
  service.token = "second";
  await call();
  expect(service.requests).toHaveLength(3);
  service.token = "third";
  expect(await rejectedCode(call)).toBe("site-unauthorized");
  expect(service.requests).toHaveLength(4);
});

test("where nobody listens nothing was sent, and even an action may be repeated", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  using client = clientOf({ url: `https://localhost:${port}`, caPem: "" }, { ca: undefined });
  const asked = { ...asking("command"), asked: "action" } as const;
  await expect(client.call(CMPIVOT, {}, asked)).rejects.toMatchObject({
    ...{ code: "site-unreachable", isRetryable: true },
  });
});

test("a host that takes connections and says nothing to TLS is given up in time", async () => {
  const server = createServer(() => {}).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const other = connect(port, "127.0.0.1");
  using client = clientOf(
    { url: `https://localhost:${port}`, caPem: "" },
    { ca: undefined, limits: { connectTimeoutMs: 100 } },
  );
  expect(await rejectedCode(() => client.rows(SYSTEM, {}, asking()))).toBe("site-unreachable");
  other.destroy();
  server.close();
});

test("closing ends what is under way and what waits", async () => {
  await using service = await siteThat(
    ...Array.from({ length: 9 }, () => ({ kind: "hang" }) as const),
  );
  const client = clientOf(service);
  const codes = Array.from({ length: 9 }, () =>
    rejectedCode(() => client.rows(SYSTEM, {}, asking())),
  );
  await until(() => service.requests.length === 3);
  expect([client.inFlight, client.waiting]).toEqual([3, 6]);
  client[Symbol.dispose]();
  expect(new Set(await Promise.all(codes))).toEqual(new Set(["site-closed"]));
});
