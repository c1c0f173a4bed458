import { generateKeyPairSync, randomBytes } from "node:crypto";
import { makeBatchFrame } from "@isthmus/shared/link/batch-frame";
import type { FromConnector } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { enrolConnector, startConnector } from "./link/connector-end.ts";
import { Lab } from "./link/lab.ts";

const YEAR_MS = 365 * 86_400_000;

describe("the connector signs {nonce, connectorId, bootId, channel}", () => {
  test("a whole and true hello is welcomed", async () => {
    await using lab = await Lab.start();
    using connector = await lab.raw();
    expect(await connector.greet()).toMatchObject({ type: "welcome", sessionNo: 1, protocol: 1 });
  });

  test("another key is turned away for good", async () => {
    await using lab = await Lab.start();
    using connector = await lab.raw({ privateKey: generateKeyPairSync("ed25519").privateKey });
    connector.say(await connector.hello());
    expect(await connector.next("refused")).toMatchObject({
      code: "signature-invalid",
      isFinal: true,
    });
  });

  test.each<[string, Partial<Extract<FromConnector, { type: "hello" }>>]>([
    ["bootId", { bootId: "another-boot" }],
    ["connectorId", { connectorId: "another" }],
  ])("a hello whose %s was changed after it was signed is turned away", async (_field, change) => {
    await using lab = await Lab.start();
    using connector = await lab.raw();
    connector.say({ ...(await connector.hello()), ...change });
    expect(await connector.next("refused")).toMatchObject({ code: "signature-invalid" });
  });

  test("a signature over another connection's nonce is turned away", async () => {
    await using lab = await Lab.start();
    using first = await lab.raw();
    using second = await lab.raw();
    second.say(await first.hello());
    expect(await second.next("refused")).toMatchObject({ code: "signature-invalid" });
  });

  test("a hello that was given to another server is turned away", async () => {
    await using lab = await Lab.start();
    using connector = await lab.raw();
    connector.say(await connector.hello({ channel: "evil.example" }));
    expect(await connector.next("refused")).toMatchObject({ code: "channel-foreign" });
  });
});

describe("no clock is trusted for authentication", () => {
  test("a connector whose clock is ten years off is welcomed, and its offset is known", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect({}, { clock: { now: () => Date.now() - 10 * YEAR_MS } });
    const { clockOffsetMs } = connector.link.state();
    expect(clockOffsetMs).toBeGreaterThan(10 * YEAR_MS - 10_000);
    expect(clockOffsetMs).toBeLessThan(10 * YEAR_MS + 10_000);
    const row = await lab.cloud.row("SELECT clock_offset_ms FROM connector");
    expect(Number(row?.["clock_offset_ms"])).toBeLessThan(-10 * YEAR_MS + 10_000);
  });

  test.each([
    [-299_000, false],
    [299_000, false],
    [-301_000, true],
    [301_000, true],
  ])("a clock %i ms off: unhealthy is %s", async (offsetMs, isOff) => {
    await using lab = await Lab.start();
    const connector = await lab.connect({}, { clock: { now: () => Date.now() + offsetMs } });
    expect(connector.link.isClockOff()).toBe(isOff);
  });

  test("expiries are judged by the control plane's clock as the handshake measured it", async () => {
    await using lab = await Lab.start();
    const clock = { now: () => Date.now() + YEAR_MS };
    const connector = await lab.connect({}, { clock });
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await until(async () => (await lab.cloud.commandState(id)) === "succeeded");
    expect(connector.record.ran).toHaveLength(1);
  });
});

describe("readers ignore unknown fields, and an unknown kind gets a final `unsupported`", () => {
  test("the control plane answers an unknown kind and the connection goes on", async () => {
    await using lab = await Lab.start();
    using connector = await lab.raw();
    connector.say({ ...(await connector.hello()), somethingNew: { a: 1 } });
    await connector.next("welcome");
    connector.say({ type: "from-the-future", x: 1 });
    expect(await connector.next("unsupported")).toMatchObject({ of: "from-the-future" });
    connector.say({ type: "ping", id: 7 });
    expect(await connector.next("pong")).toMatchObject({ id: 7 });
    expect(connector.isClosed).toBe(false);
  });

  test("a stream and a state that the control plane does not know are answered likewise", async () => {
    await using lab = await Lab.start();
    using connector = await lab.raw();
    await connector.greet();
    const frame = { stream: "from-the-future", firstSeq: 1, isAfterPruned: false, lines: ["{}"] };
    connector.sayBinary(await makeBatchFrame(frame));
    expect(await connector.next("unsupported")).toMatchObject({ of: "stream:from-the-future" });
    connector.say({ type: "state", stream: "weather", version: 1, digest: "0".repeat(64) });
    await until(() =>
      connector.heard.some((m) => m.type === "unsupported" && m.of === "state:weather"),
    );
    expect(connector.isClosed).toBe(false);
  });

  test("a connector that speaks no common protocol version is turned away for good", async () => {
    await using lab = await Lab.start();
    using connector = await lab.raw();
    connector.say(await connector.hello({ protocol: { min: 2, max: 3 } }));
    expect(await connector.next("refused")).toMatchObject({
      code: "protocol-unsupported",
      isFinal: true,
    });
  });
});

describe("a second live bootId of one identity is quarantined and reported, not flapped", () => {
  test("both live at once: both are turned away for good, and the administrator sees why", async () => {
    await using lab = await Lab.start();
    await using cloneStore = await lab.cloneStore();
    const original = await lab.connect();
    const { enrolled } = lab;
    await using clone = await startConnector({ enrolled, store: cloneStore });
    await until(() => clone.link.state().isRefused, "the clone's refusal");
    await until(() => original.link.state().isRefused, "the original's refusal");
    expect(original.link.state().lastError?.code).toBe("identity-cloned");
    const row = await lab.cloud.row("SELECT quarantined_at, quarantine_reason FROM connector");
    expect(row?.["quarantined_at"]).not.toBeNull();
    expect(row?.["quarantine_reason"]).toContain("alive");
    const events = await lab.cloud.rows("SELECT event FROM connector_event");
    expect(events.map((event) => event["event"])).toContain("connector.quarantined");
  });

  test("taking turns: a boot that comes back after another had followed it gives the clone away", async () => {
    await using lab = await Lab.start();
    using first = await lab.raw({ bootId: "boot-a" });
    await first.greet();
    first.webSocket.terminate();
    using second = await lab.raw({ bootId: "boot-b" });
    await second.greet();
    second.webSocket.terminate();
    using again = await lab.raw({ bootId: "boot-a" });
    again.say(await again.hello());
    expect(await again.next("refused")).toMatchObject({ code: "identity-cloned", isFinal: true });
  });

  test("a half-open connection of a process that is gone is no clone", async () => {
    await using lab = await Lab.start();
    using dead = await lab.raw({ bootId: "boot-a" });
    await dead.greet();
    dead.webSocket.pause();
    using next = await lab.raw({ bootId: "boot-b" });
    expect(await next.greet()).toMatchObject({ sessionNo: 2 });
  });

  test("after an administrator's release the next one to come is welcomed", async () => {
    await using lab = await Lab.start();
    const now = Date.now();
    const { connectorId } = lab;
    await lab.cloud.store.run("quarantineConnector", { connectorId, reason: "test", now });
    using refused = await lab.raw();
    refused.say(await refused.hello());
    await refused.next("refused");
    await lab.cloud.store.run("releaseConnector", { connectorId, now, actor: "test" });
    using welcome = await lab.raw();
    expect(await welcome.greet()).toMatchObject({ type: "welcome" });
  });
});

describe("accepting a connection raises sessionNo, and a stale one writes nothing", () => {
  test("each welcome has the next number", async () => {
    await using lab = await Lab.start();
    for (const sessionNo of [1, 2, 3]) {
      using connector = await lab.raw();
      expect(await connector.greet()).toMatchObject({ sessionNo });
    }
  });

  test.each([
    ["ingestBatch"],
    ["takeDeliveries"],
    ["noteCommandProgress"],
    ["storeConfigurationReport"],
    ["judgeAuditHead"],
    ["storeHealth"],
    ["answerGap"],
  ] as const)("%s of a stale session is refused", async (name) => {
    await using lab = await Lab.start();
    using first = await lab.raw();
    const { sessionNo } = await first.greet();
    first.webSocket.terminate();
    using second = await lab.raw();
    await second.greet();
    const { connectorId } = lab;
    const stale = { connectorId, sessionNo, stream: "issuance", firstSeq: 1, entryCount: 1 };
    const argument = { ...stale, text: "{}", index: 0, hash: "" } as never;
    const outcome = lab.cloud.store.run(name, argument);
    await expect(outcome).rejects.toMatchObject({ code: "session-stale" });
  });
});

describe("HTTPS long-poll with the same frames where WebSockets are blocked", () => {
  test("`auto` goes over to long-poll by itself", async () => {
    await using lab = await Lab.start();
    await lab.stopCloud();
    await lab.restartCloud({ hasNoWebSockets: true });
    const connector = await lab.connect({}, { transport: "auto" });
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await until(async () => (await lab.cloud.commandState(id)) === "succeeded");
    expect(connector.record.ran).toHaveLength(1);
  });
});

describe("enrolment", () => {
  test("a token is good for one connector", async () => {
    await using lab = await Lab.start();
    const token = await lab.cloud.token("cert-connector");
    await enrolConnector(lab.cloud, "cert-connector", { token });
    const again = enrolConnector(lab.cloud, "cert-connector", { token });
    await expect(again).rejects.toMatchObject({ code: "enrolment-refused" });
  });

  test("the same token with the same key again gets the same connector: an answer was lost", async () => {
    await using lab = await Lab.start();
    const token = await lab.cloud.token("cert-connector");
    const { privateKey } = generateKeyPairSync("ed25519");
    const first = await enrolConnector(lab.cloud, "cert-connector", { token, privateKey });
    const second = await enrolConnector(lab.cloud, "cert-connector", { token, privateKey });
    expect(second.answer.connectorId).toBe(first.answer.connectorId);
  });

  test.each([
    ["of another service", "tunnel-gateway", 60_000],
    ["that has expired", "cert-connector", -1],
  ] as const)("a token %s is refused", async (_case, service, validForMs) => {
    await using lab = await Lab.start();
    const token = await lab.cloud.token(service, validForMs);
    const outcome = enrolConnector(lab.cloud, "cert-connector", { token });
    await expect(outcome).rejects.toMatchObject({ code: "enrolment-refused" });
  });

  test("a control plane with another tenant key than the token's is not believed", async () => {
    await using lab = await Lab.start();
    const token = await lab.cloud.token("cert-connector");
    const stranger = await lab.replaceTenantKey();
    const outcome = enrolConnector(stranger, "cert-connector", { token });
    await expect(outcome).rejects.toMatchObject({ code: "enrolment-answer" });
  });

  test("a server with another CA than the token's gets no secret", async () => {
    await using lab = await Lab.start();
    const token = await lab.cloud.token("cert-connector");
    await lab.stopCloud();
    await lab.restartCloud({ hasOtherCa: true });
    const outcome = enrolConnector(lab.cloud, "cert-connector", { token });
    await expect(outcome).rejects.toMatchObject({ code: "enrolment-ca" });
    const used = await lab.cloud.row("SELECT count(*) AS n FROM enrolment_token WHERE used_at > 0");
    expect(used).toEqual({ n: 1 });
  });
});

describe("broken input", () => {
  test("a frame that is no message ends the connection with its code, and the next one is welcomed", async () => {
    await using lab = await Lab.start();
    using connector = await lab.raw();
    await connector.greet();
    connector.webSocket.send("{not json");
    expect(await connector.next("refused")).toMatchObject({ code: "link-frame-not-json" });
    using next = await lab.raw();
    expect(await next.greet()).toMatchObject({ type: "welcome" });
  });

  test("a frame over the limit ends the connection", async () => {
    await using lab = await Lab.start();
    using connector = await lab.raw();
    await connector.greet();
    connector.sayBinary(randomBytes(1_048_577));
    await until(() => connector.isClosed, "the end");
  });

  test("a batch before the welcome ends the connection", async () => {
    await using lab = await Lab.start();
    using connector = await lab.raw();
    const frame = { stream: "issuance", firstSeq: 1, isAfterPruned: false, lines: ["{}"] };
    connector.sayBinary(await makeBatchFrame(frame));
    expect(await connector.next("refused")).toMatchObject({ code: "link-handshake" });
  });
});
