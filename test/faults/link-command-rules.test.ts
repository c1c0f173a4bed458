import { randomUUID } from "node:crypto";
import { RefusalError } from "@isthmus/shared/errors";
import { signJws } from "@isthmus/shared/link/jws";
import type { FromControlPlane } from "@isthmus/shared/link/messages";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { ended, HOUR_MS, statement } from "./link/commands.ts";
import { FakeCloud } from "./link/fake-cloud.ts";
import { Lab } from "./link/lab.ts";

describe("cancel and supersede exist", () => {
  test("a command that has not begun is cancelled by one that supersedes it", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect();
    const later = { notBefore: Date.now() + HOUR_MS };
    const first = await lab.cloud.command(lab.connectorId, "devices.update", later);
    await ended(lab, first, "accepted");
    const second = await lab.cloud.command(lab.connectorId, "devices.update", {
      supersedes: [first],
    });
    await ended(lab, second, "succeeded");
    await ended(lab, first, "cancelled");
    expect(connector.record.ran.map(({ id }) => id)).toEqual([second]);
  });

  test("a running command is asked to stop", async () => {
    await using lab = await Lab.start();
    await lab.connect({
      run: (_command, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        }),
    });
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, id, "running");
    const cancel = { id, cancelId: randomUUID(), actor: "test", now: Date.now() };
    expect(await lab.cloud.store.run("cancelCommand", cancel)).toBe("requested");
    await lab.cloud.sign();
    await ended(lab, id, "failed");
    const row = await lab.cloud.row("SELECT error FROM command WHERE id = ?", id);
    expect(row?.["error"]).toContain("command-cancelled");
  });

  test("a command that never left is withdrawn and leaves no hole", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect();
    const now = Date.now();
    const common = { connectorId: lab.connectorId, kind: "health.report", payload: {}, actor: "t" };
    const insert = (id: string) =>
      lab.cloud.store.run("insertCommand", {
        ...common,
        id,
        now,
        notBefore: now,
        expiresAt: now + HOUR_MS,
      });
    await insert("withdrawn");
    await insert("kept");
    const cancel = { id: "withdrawn", cancelId: "c", actor: "t", now };
    expect(await lab.cloud.store.run("cancelCommand", cancel)).toBe("withdrawn");
    await lab.cloud.sign();
    await ended(lab, "kept", "succeeded");
    expect(connector.record.has("link.command-gap")).toBe(false);
  });

  test("what was cancelled before it came never runs", async () => {
    await using lab = await Lab.start();
    await using cloud = await FakeCloud.start(lab);
    const connector = await lab.connect({}, { url: cloud.url });
    const key = lab.cloud.tenantKey;
    const late = statement(lab, { seq: 1 });
    const cancel = statement(lab, { seq: 2, kind: "command.cancel", supersedes: [late.id] });
    for (const command of [cancel, late]) {
      cloud.say({ type: "command", jws: await signJws(command, JWS_TYPES.command, key) });
    }
    await until(() => cloud.progressOf("cancelled"), "the answer");
    expect(connector.record.ran).toEqual([]);
  });
});

describe("what began and was cut off by a crash is reconciled, never simply repeated", () => {
  test.each([
    ["succeeded", "succeeded", 0],
    ["failed", "failed", 0],
    ["unknown", "unknown", 0],
    ["not-run", "succeeded", 1],
  ] as const)("found %s: it ends as %s", async (found, state, runs) => {
    await using lab = await Lab.start();
    const command = statement(lab);
    const now = Date.now();
    const { kind, id } = command;
    const body = { connectorId: lab.connectorId, id, kind, payload: {}, actor: "t", now };
    await lab.cloud.store.run("insertCommand", { ...body, notBefore: 0, expiresAt: now + HOUR_MS });
    await lab.store.run("receiveCommand", { command, now, cloudNow: now });
    await lab.store.run("beginCommand", { id, now, cloudNow: now });
    const connector = await lab.connect({ reconcile: async () => found });
    await ended(lab, id, state);
    expect(connector.record.ran).toHaveLength(runs);
  });
});

describe("configuration, receipts and trust", () => {
  test("a configuration is applied and its version reported", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect();
    const version = await lab.cloud.configure(lab.connectorId, "cert-connector", { profiles: [] });
    await until(async () => {
      const row = await lab.cloud.row("SELECT configuration_version_applied AS v FROM connector");
      return row?.["v"] === version;
    }, "the report");
    expect(connector.record.configurations[0]).toMatchObject({ configuration: { profiles: [] } });
  });

  test("a configuration that is refused is reported with its error", async () => {
    await using lab = await Lab.start();
    await lab.connect({
      onConfiguration: async () => {
        throw new RefusalError("profile-unknown", "rule", "no such profile");
      },
    });
    await lab.cloud.configure(lab.connectorId, "cert-connector", {});
    const error = await until(async () => {
      const row = await lab.cloud.row("SELECT configuration_error AS error FROM connector");
      return row?.["error"];
    }, "the report");
    expect(JSON.parse(String(error))).toMatchObject({ code: "profile-unknown", version: 1 });
  });

  test("an older configuration than the one in force is not taken back", async () => {
    await using lab = await Lab.start();
    await using cloud = await FakeCloud.start(lab);
    const connector = await lab.connect({ configurationVersion: () => 5 }, { url: cloud.url });
    const older = {
      aud: lab.connectorId,
      version: 4,
      service: "cert-connector",
      issuedAt: 0,
      configuration: {},
    };
    const jws = await signJws(older, JWS_TYPES.configuration, lab.cloud.tenantKey);
    cloud.say({ type: "configuration", jws });
    await until(() => connector.record.has("link.statement-rejected"));
    expect(connector.record.configurations).toEqual([]);
  });

  test("an audit head comes back countersigned, and a second one with its index does not", async () => {
    await using lab = await Lab.start();
    const head = { index: 3, hash: "a".repeat(64) };
    const connector = await lab.connect({ auditHead: async () => head });
    await until(() => connector.record.receipts.length === 1, "the receipt");
    expect(connector.record.receipts[0]).toMatchObject({ ...head, aud: lab.connectorId });
    await lab.disconnect();
    using other = await lab.raw();
    await other.greet({ commandSeq: 0 });
    other.say({ type: "audit-head", index: 3, hash: "b".repeat(64) });
    await until(
      () => lab.cloud.row("SELECT 1 FROM connector_event WHERE event = 'audit.forked'"),
      "the report",
    );
    expect(other.heard.some(({ type }: FromControlPlane) => type === "countersigned")).toBe(false);
  });
});
