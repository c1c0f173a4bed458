import { randomUUID } from "node:crypto";
import type { IssuanceEvent } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { Lab } from "./link/lab.ts";

function issued(number: number): IssuanceEvent {
  const serialNumber = number.toString(16).padStart(8, "0");
  return {
    event: "issued",
    at: number,
    transactionId: `t-${number}`,
    serialNumber,
    issuer: "CN=CA",
  };
}

async function append(lab: Lab, ...entries: IssuanceEvent[]): Promise<void> {
  await lab.store.run("append", { stream: "issuance", entries, at: Date.now() });
  lab.connector?.link.wake("issuance");
}

async function storedSerials(lab: Lab): Promise<number[]> {
  const rows = await lab.cloud.rows(
    "SELECT serial_number FROM issued_certificate ORDER BY serial_number",
  );
  return rows.map((row) => Number.parseInt(String(row["serial_number"]), 16));
}

function ended(lab: Lab, id: string, state: string): Promise<unknown> {
  return until(async () => (await lab.cloud.commandState(id)) === state, `${id} ${state}`, 30_000);
}

async function epochs(lab: Lab): Promise<[unknown, unknown]> {
  const there = await lab.cloud.row("SELECT epoch FROM connector");
  const { epoch } = await lab.store.run("laneState");
  return [there?.["epoch"], epoch];
}

describe("local state behind what the cloud has seen means a restored backup", () => {
  test("a new epoch begins on both sides, and it is reported", async () => {
    await using lab = await Lab.start();
    await lab.connect();
    await append(lab, issued(1));
    await until(async () => (await storedSerials(lab)).length === 1);
    const backup = await lab.backUpConnector();
    await lab.connect();
    expect(await epochs(lab)).toEqual([0, 0]);
    await append(lab, issued(2));
    await until(async () => (await storedSerials(lab)).length === 2);
    await lab.restoreConnector(backup);
    const connector = await lab.connect();
    expect(await epochs(lab)).toEqual([1, 1]);
    expect(connector.record.has("link.restored")).toBe(true);
    const events = await lab.cloud.rows("SELECT event FROM connector_event");
    expect(events.map(({ event }) => event)).toContain("connector.restored");
  });

  test("streams reconcile: nothing written after the restore is lost, and nothing is there twice", async () => {
    await using lab = await Lab.start();
    await lab.connect();
    await append(lab, issued(1), issued(2));
    await until(async () => (await storedSerials(lab)).length === 2);
    const backup = await lab.backUpConnector();
    await lab.connect();
    await append(lab, issued(3), issued(4), issued(5));
    await until(async () => (await storedSerials(lab)).length === 5);
    await lab.restoreConnector(backup);
    await append(lab, issued(100), issued(101));
    await lab.connect();
    await append(lab, issued(102));
    await until(async () => (await storedSerials(lab)).length === 8, "all eight");
    expect(await storedSerials(lab)).toEqual([1, 2, 3, 4, 5, 100, 101, 102]);
    expect(await lab.cloud.rows("SELECT 1 FROM dead_letter")).toEqual([]);
  });

  test("entries that stood unsent in the backup and were sent after it are told apart by what they say", async () => {
    await using lab = await Lab.start();
    await lab.connect();
    await append(lab, issued(1));
    await until(async () => (await storedSerials(lab)).length === 1);
    await lab.disconnect();
    await append(lab, issued(2));
    const backup = await lab.backUpConnector();
    await lab.connect();
    await append(lab, issued(3));
    await until(async () => (await storedSerials(lab)).length === 3);
    await lab.restoreConnector(backup);
    await lab.connect();
    await until(async () => {
      const row = await lab.cloud.row("SELECT seq FROM stream_cursor WHERE stream = 'issuance'");
      return row?.["seq"] === 4;
    }, "the second once more");
    expect(await storedSerials(lab)).toEqual([1, 2, 3]);
  });

  test("a command in flight becomes unknown on both sides and is not run", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect({ judge: async () => "await-approval" });
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await until(() => connector.link.awaitingApproval().length === 1);
    await ended(lab, id, "accepted");
    const backup = await lab.backUpConnector();
    await lab.connect();
    const second = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, second, "succeeded");
    await lab.restoreConnector(backup);
    const restored = await lab.connect();
    await ended(lab, id, "succeeded");
    expect(restored.record.ran.map((command) => command.id)).not.toContain(id);
    expect(restored.record.ran.map((command) => command.id)).not.toContain(second);
  });

  test("a command that ran after the backup is never run again, even if somebody delivers it again", async () => {
    await using lab = await Lab.start();
    await lab.connect();
    const backup = await lab.backUpConnector();
    await lab.connect();
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, id, "succeeded");
    const row = await lab.cloud.row("SELECT jws FROM command WHERE id = ?", id);
    await lab.restoreConnector(backup);
    const connector = await lab.connect();
    expect(await epochs(lab)).toEqual([1, 1]);
    const { answer } = lab.enrolled;
    const { verifyJws } = await import("@isthmus/shared/link/jws");
    const command = await verifyJws(String(row?.["jws"]), "isthmus-command+jwt", [
      answer.tenantKey,
    ]);
    const now = Date.now();
    const receipt = await lab.store.run("receiveCommand", {
      command: command as never,
      now,
      cloudNow: now,
    });
    expect(receipt).toMatchObject({ outcome: "ended", state: "unknown" });
    expect(connector.record.ran).toEqual([]);
  });

  test("commands that were not sent before the restore are delivered after it", async () => {
    await using lab = await Lab.start();
    await lab.connect();
    const first = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, first, "succeeded");
    const backup = await lab.backUpConnector();
    await lab.connect();
    const second = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, second, "succeeded");
    await lab.restoreConnector(backup);
    const third = await lab.cloud.command(lab.connectorId, "health.report");
    const connector = await lab.connect();
    await ended(lab, third, "succeeded");
    expect(connector.record.ran.map((command) => command.id)).toEqual([third]);
    expect(connector.record.has("link.command-gap")).toBe(false);
  });

  test("a connector whose state was lost whole goes on in a new epoch", async () => {
    await using lab = await Lab.start();
    const empty = await lab.backUpConnector();
    await lab.connect();
    await append(lab, issued(1), issued(2));
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, id, "succeeded");
    await until(async () => (await storedSerials(lab)).length === 2);
    await lab.restoreConnector(empty);
    await lab.connect();
    await append(lab, issued(3));
    await until(async () => (await storedSerials(lab)).length === 3);
    expect(await epochs(lab)).toEqual([1, 1]);
  });

  test("raising the epoch by hand has the same effect", async () => {
    await using lab = await Lab.start();
    await lab.connect({ judge: async () => "await-approval" });
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await ended(lab, id, "accepted");
    await lab.disconnect();
    await lab.store.run("raiseEpoch", { now: Date.now() });
    const connector = await lab.connect();
    await ended(lab, id, "unknown");
    expect(await epochs(lab)).toEqual([1, 1]);
    expect(connector.record.ran).toEqual([]);
  });
});

describe("a control plane that was restored from a backup", () => {
  test("its commands run once, and it learns how they ended", async () => {
    await using lab = await Lab.start();
    const connector = await lab.connect();
    const id = await lab.cloud.command(lab.connectorId, "health.report", { id: randomUUID() });
    await ended(lab, id, "succeeded");
    await lab.disconnect();
    const second = await lab.cloud.command(lab.connectorId, "health.report");
    const backup = await lab.backUpCloud();
    const again = await lab.connect();
    await ended(lab, second, "succeeded");
    await lab.restoreCloud(backup);
    await ended(lab, second, "succeeded");
    expect(connector.record.ran).toHaveLength(1);
    expect(again.record.ran).toHaveLength(1);
    expect(await epochs(lab)).toEqual([0, 0]);
  });

  test("its next command has a seq above all that the connector has seen", async () => {
    await using lab = await Lab.start();
    await lab.connect();
    const backup = await lab.backUpCloud();
    for (let i = 0; i < 3; i++) {
      await ended(lab, await lab.cloud.command(lab.connectorId, "health.report"), "succeeded");
    }
    await lab.restoreCloud(backup);
    await until(() => lab.connector?.link.state().sessionNo !== undefined, "reconnection", 60_000);
    const id = await until(async () => {
      const row = await lab.cloud.row("SELECT command_seq FROM connector");
      return row?.["command_seq"] === 3
        ? await lab.cloud.command(lab.connectorId, "health.report")
        : undefined;
    }, "the handshake");
    await ended(lab, id, "succeeded");
    const row = await lab.cloud.row("SELECT seq FROM command WHERE id = ?", id);
    expect(row?.["seq"]).toBe(4);
  });
});
