import { generateKeyPairSync } from "node:crypto";
import { RefusalError } from "@isthmus/shared/errors";
import { signJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { ended, HOUR_MS, inbox, statement } from "./link/commands.ts";
import { FakeCloud } from "./link/fake-cloud.ts";
import { Lab } from "./link/lab.ts";

const DAY_MS = 24 * HOUR_MS;

describe("a command is a compact JWS: bytes verified first, parsed after", () => {
  test.each<[string, string, (lab: Lab) => Promise<string>]>([
    [
      "signed by another key",
      "jws-key",
      (lab) =>
        signJws(statement(lab), JWS_TYPES.command, generateKeyPairSync("ed25519").privateKey),
    ],
    [
      "of another type",
      "jws-type",
      (lab) => signJws(statement(lab), JWS_TYPES.configuration, lab.cloud.tenantKey),
    ],
    [
      "for another connector",
      "command-audience",
      (lab) => signJws(statement(lab, { aud: "other" }), JWS_TYPES.command, lab.cloud.tenantKey),
    ],
    [
      "whose payload was changed",
      "jws-signature",
      async (lab) => {
        const jws = await signJws(statement(lab), JWS_TYPES.command, lab.cloud.tenantKey);
        const [head, , signature] = jws.split(".");
        const other = statement(lab, { kind: "certificate.revoke" });
        return `${head}.${Buffer.from(JSON.stringify(other)).toString("base64url")}.${signature}`;
      },
    ],
    ["that is no JWS", "jws-malformed", async () => "hello"],
    [
      "that is no command",
      "command-invalid",
      (lab) => signJws({ id: "x" }, JWS_TYPES.command, lab.cloud.tenantKey),
    ],
  ])("one %s is rejected, told and never run", async (_what, code, make) => {
    await using lab = await Lab.start();
    await using cloud = await FakeCloud.start(lab);
    const connector = await lab.connect({}, { url: cloud.url });
    cloud.say({ type: "command", jws: await make(lab) });
    await until(() => connector.record.has("link.statement-rejected"), "the rejection");
    const event = connector.record.events.find((each) => each.event === "link.statement-rejected");
    expect(event).toMatchObject({ kind: "command", code });
    expect(await inbox(lab)).toEqual([]);
    expect(connector.link.state().connected).toBe(true);
  });
});

describe("guardrails first, then intent, then the effect, then the result", () => {
  test("a refusal names the rule, and nothing was run or intended", async () => {
    await using lab = await Lab.start();
    const states: string[] = [];
    const connector = await lab.connect({
      judge: async ({ id }) => {
        states.push((await inbox(lab)).find((row) => row.id === id)?.state ?? "none");
        throw new RefusalError("command-not-allowed", "guardrails.commands.allow", "not here");
      },
    });
    const id = await lab.cloud.command(lab.connectorId, "certificate.revoke");
    await ended(lab, id, "refused");
    const row = await lab.cloud.row("SELECT error FROM command WHERE id = ?", id);
    expect(JSON.parse(String(row?.["error"]))).toMatchObject({
      code: "command-not-allowed",
      rule: "guardrails.commands.allow",
    });
    expect(states).toEqual(["accepted"]);
    expect(connector.record.ran).toEqual([]);
  });

  test("intent stands in the store when the effect begins", async () => {
    await using lab = await Lab.start();
    let stateAtEffect: string | undefined;
    await lab.connect({
      run: async ({ id }) => {
        stateAtEffect = (await inbox(lab)).find((row) => row.id === id)?.state;
      },
    });
    await ended(lab, await lab.cloud.command(lab.connectorId, "health.report"), "succeeded");
    expect(stateAtEffect).toBe("running");
  });

  test("what a command throws is its failure, and an unknown error leaves without detail", async () => {
    await using lab = await Lab.start();
    await lab.connect({
      run: async () => {
        throw new Error("password=hunter2");
      },
    });
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, id, "failed");
    const row = await lab.cloud.row("SELECT error FROM command WHERE id = ?", id);
    expect(row?.["error"]).toContain('"code":"internal"');
    expect(row?.["error"]).not.toContain("hunter2");
  });

  test("a command waits for a local approval, and runs when it is given", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect({
      judge: async (_command, approvedAt) => (approvedAt === undefined ? "await-approval" : "run"),
    });
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await until(() => connector.link.awaitingApproval().length === 1, "the wait");
    await ended(lab, id, "accepted");
    expect(connector.record.ran).toEqual([]);
    await connector.link.approve(id);
    await ended(lab, id, "succeeded");
    await expect(connector.link.approve(id)).rejects.toMatchObject({ code: "command-not-open" });
  });

  test("a command that is denied while it waits ends as refused, says why, and never runs", async () => {
    await using lab = await Lab.start();
    const judge = async (_command: unknown, approvedAt: number | undefined) =>
      approvedAt === undefined ? "await-approval" : "run";
    const connector = await lab.connect({ judge });
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await until(() => connector.link.awaitingApproval().length === 1, "the wait");
    await connector.link.deny(id, "not on a Friday");
    await ended(lab, id, "refused");
    const row = await lab.cloud.row("SELECT error FROM command WHERE id = ?", id);
    expect(JSON.parse(String(row?.["error"]))).toEqual({
      code: "approval-denied",
      message: "not on a Friday",
    });
    for (const decide of [
      () => connector.link.deny(id, "again"),
      () => connector.link.approve(id),
    ]) {
      await expect(decide()).rejects.toMatchObject({ code: "command-not-open" });
    }
    expect(connector.link.awaitingApproval()).toEqual([]);
    expect(connector.record.ran).toEqual([]);
  });

  test("what a command waits for is told, and again on the next connection, until it runs", async () => {
    await using lab = await Lab.start();
    await using cloud = await FakeCloud.start(lab);
    const waitsFor = { code: "awaiting-approval", message: "somebody has to approve it" };
    const connector = await lab.connect(
      {
        judge: async (_command, approvedAt) =>
          approvedAt === undefined ? "await-approval" : "run",
        waitOf: () => waitsFor,
      },
      { url: cloud.url },
    );
    const command = statement(lab);
    cloud.say({
      type: "command",
      jws: await signJws(command, JWS_TYPES.command, lab.cloud.tenantKey),
    });
    await until(() => cloud.waits().length === 1, "the wait");
    const { id } = command;
    expect(cloud.waits()).toEqual([{ type: "command-progress", id, state: "accepted", waitsFor }]);
    cloud.cut();
    await until(() => cloud.waits().length === 2, "the wait on the next connection");
    await connector.link.approve(command.id);
    await until(() => cloud.progressOf("running"));
  });
});

describe("a repeated id answers the stored result", () => {
  test("a command that comes twice runs once", async () => {
    await using lab = await Lab.start();
    await using cloud = await FakeCloud.start(lab);
    const connector = await lab.connect({}, { url: cloud.url });
    const jws = await signJws(statement(lab), JWS_TYPES.command, lab.cloud.tenantKey);
    cloud.say({ type: "command", jws });
    await until(() => cloud.progressOf("running"));
    await until(async () => (await inbox(lab))[0]?.state === "succeeded");
    cloud.say({ type: "command", jws });
    await until(() => cloud.progressOf("succeeded"), "the answer to the second");
    expect(connector.record.ran).toHaveLength(1);
  });

  test("the stored result goes up again where the first was acknowledged long ago", async () => {
    await using lab = await Lab.start();
    const command = statement(lab);
    const now = Date.now();
    const receive = (at: number) =>
      lab.store.run("receiveCommand", { command, now: at, cloudNow: at });
    await receive(now);
    await lab.store.run("beginCommand", { id: command.id, now, cloudNow: now });
    const end = { id: command.id, state: "succeeded", result: { answer: 42 }, now } as const;
    await lab.store.run("finishCommand", end);
    const take = { stream: "commands", afterSeq: 0, maxEntries: 10, maxBytes: 10_000 };
    await lab.store.run("takeStreamBatch", take);
    await lab.store.run("acknowledgeStream", { stream: "commands", seq: 1, rejected: [], at: now });
    await receive(now + 1_000);
    expect(await lab.store.run("takeStreamBatch", { ...take, afterSeq: 1 })).toBeUndefined();
    await receive(now + 61_000);
    const again = await lab.store.run("takeStreamBatch", { ...take, afterSeq: 1 });
    expect(JSON.parse(again?.lines[0] ?? "")).toMatchObject({
      id: command.id,
      result: { answer: 42 },
    });
  });
});

describe("results are kept until expiresAt + 24 h and expired ids are refused", () => {
  test("an expired command is not run", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect();
    const past = { notBefore: 1, expiresAt: Date.now() - 1 };
    const id = await lab.cloud.command(lab.connectorId, "health.report", past);
    await ended(lab, id, "expired");
    expect(connector.record.ran).toEqual([]);
  });

  test("a command is not run before its time, and expires if its approval comes too late", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect({ judge: async () => "await-approval" });
    const soon = { expiresAt: Date.now() + 1_500 };
    const id = await lab.cloud.command(lab.connectorId, "health.report", soon);
    await until(() => connector.link.awaitingApproval().length === 1);
    await ended(lab, id, "expired");
    expect(connector.link.awaitingApproval()).toEqual([]);
  });

  test("notBefore holds a command back", async () => {
    await using lab = await Lab.start();
    const times: number[] = [];
    await lab.connect({
      run: async () => {
        times.push(Date.now());
      },
    });
    const notBefore = Date.now() + 700;
    const id = await lab.cloud.command(lab.connectorId, "health.report", { notBefore });
    await ended(lab, id, "succeeded");
    expect(times[0]).toBeGreaterThanOrEqual(notBefore - 5);
  });

  test.each([
    ["a moment before the 24 h are over it stays", DAY_MS - 1_000, 1],
    ["after them it goes", DAY_MS + 1_000, 0],
  ])("%s", async (_what, afterExpiry, kept) => {
    await using lab = await Lab.start();
    const command = statement(lab);
    const now = Date.now();
    await lab.store.run("receiveCommand", { command, now, cloudNow: now });
    await lab.store.run("beginCommand", { id: command.id, now, cloudNow: now });
    await lab.store.run("finishCommand", { id: command.id, state: "succeeded", now });
    const later = command.expiresAt + afterExpiry;
    await lab.store.run("pruneLanes", { now: later, cloudNow: later, retentionMs: 90 * DAY_MS });
    expect(await inbox(lab)).toHaveLength(kept);
  });

  test("a pruned id never runs again, whatever the clocks say", async () => {
    await using lab = await Lab.start();
    const command = statement(lab);
    const now = Date.now();
    await lab.store.run("receiveCommand", { command, now, cloudNow: now });
    await lab.store.run("finishCommand", { id: command.id, state: "succeeded", now });
    const later = command.expiresAt + 2 * DAY_MS;
    await lab.store.run("pruneLanes", { now: later, cloudNow: later, retentionMs: 90 * DAY_MS });
    // A control plane that lies about the time would make the command young again.
    const receipt = await lab.store.run("receiveCommand", { command, now, cloudNow: now });
    expect(receipt).toMatchObject({ outcome: "ended", state: "unknown" });
  });
});

describe("seq gaps are seen and asked for", () => {
  test("a connector asks for what it lacks, and takes the control plane's word that there is nothing as a claim", async () => {
    await using lab = await Lab.start();
    await using cloud = await FakeCloud.start(lab);
    const connector = await lab.connect({}, { url: cloud.url });
    const key = lab.cloud.tenantKey;
    cloud.say({
      type: "command",
      jws: await signJws(statement(lab, { seq: 4 }), JWS_TYPES.command, key),
    });
    const gap = await until(() => cloud.heard.find(({ type }) => type === "command-gap"));
    expect(gap).toMatchObject({ from: 1, to: 3 });
    cloud.say({
      type: "command",
      jws: await signJws(statement(lab, { seq: 1 }), JWS_TYPES.command, key),
    });
    cloud.say({ type: "command-void", from: 2, to: 3 });
    await until(() =>
      connector.record.events.some((e) => e.event === "link.command-gap" && e.isVoid),
    );
    expect(await lab.store.run("firstGap")).toBeUndefined();
    await until(() => connector.record.ran.length === 2);
  });

  test("the control plane fills a gap with what it has, and says which seqs are none", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect();
    const first = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, first, "succeeded");
    // As if the first had never come, and two more in between had been lost by a restored control plane.
    await lab.store.run("execute", { sql: "DELETE FROM command_inbox" });
    await lab.store.run("execute", {
      sql: "UPDATE command_lane SET contiguous_seq = 0, highest_seq = 0",
    });
    const second = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, second, "succeeded");
    await until(() => connector.record.ran.length === 3, "the first again");
    expect(connector.record.ran.map(({ id }) => id)).toEqual([first, second, first]);
  });
});

describe("in-flight credit is bounded", () => {
  test("the control plane sends 32 commands and no more while none is answered", async () => {
    await using lab = await Lab.start();
    for (let i = 0; i < 40; i++) await lab.cloud.command(lab.connectorId, "health.report");
    using connector = await lab.raw();
    await connector.greet();
    const commands = () => connector.heard.filter(({ type }) => type === "command");
    await until(() => commands().length === 32, "the credit");
    connector.say({ type: "ping", id: 1 });
    await connector.next("pong");
    expect(commands()).toHaveLength(32);
    const [one] = await lab.cloud.rows("SELECT id FROM command WHERE seq = 1");
    connector.say({ type: "command-progress", id: String(one?.["id"]), state: "accepted" });
    await until(() => commands().length === 33, "one more");
  });

  test("commands of one kind run one after the other in the order of their seq", async () => {
    await using lab = await Lab.start();
    const steps: string[] = [];
    await lab.connect({
      run: async ({ seq }) => {
        steps.push(`begin ${seq}`);
        await new Promise((resolve) => setImmediate(resolve));
        steps.push(`end ${seq}`);
      },
    });
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(await lab.cloud.command(lab.connectorId, "health.report"));
    for (const id of ids) await ended(lab, id, "succeeded");
    expect(steps).toEqual([1, 2, 3, 4, 5].flatMap((seq) => [`begin ${seq}`, `end ${seq}`]));
  });
});
