import { makeBatchFrame } from "@isthmus/shared/link/batch-frame";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { enrolConnector } from "./link/connector-end.ts";
import { Lab } from "./link/lab.ts";

/** A connector with an identity of its own turns on the control plane and on the other connectors. */

describe("claims in the hello", () => {
  test.each([
    ["commandSeq", { commandSeq: Number.MAX_SAFE_INTEGER }],
    ["epoch", { epoch: Number.MAX_SAFE_INTEGER }],
  ])("%s as high as it goes stops nobody's commands from being signed", async (_field, claim) => {
    await using lab = await Lab.start();
    const other = await enrolConnector(lab.cloud, "tunnel-gateway");
    using hostile = await lab.raw();
    hostile.say(await hostile.hello(claim));
    expect(await hostile.next("refused")).toMatchObject({ code: "hello-implausible" });
    await lab.cloud.command(lab.connectorId, "health.report");
    const id = await lab.cloud.command(other.answer.connectorId, "health.report");
    const row = await lab.cloud.row("SELECT seq, jws FROM command WHERE id = ?", id);
    expect(row).toMatchObject({ seq: 1, jws: expect.any(String) });
  });

  test("a connector far ahead of a restored control plane is believed", async () => {
    await using lab = await Lab.start();
    using ahead = await lab.raw();
    await ahead.greet({ commandSeq: 5_000_000, epoch: 7 });
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    const row = await lab.cloud.row("SELECT seq FROM command WHERE id = ?", id);
    expect(row).toEqual({ seq: 5_000_001 });
  });

  test("a clock beyond what a date can hold is refused", async () => {
    await using lab = await Lab.start();
    using hostile = await lab.raw();
    hostile.say(await hostile.hello({ clockMs: 1e18 }));
    expect(await hostile.next("refused")).toMatchObject({ code: "link-message-invalid" });
    const row = await lab.cloud.row("SELECT clock_offset_ms FROM connector");
    expect(row).toEqual({ clock_offset_ms: null });
  });
});

describe("its health", () => {
  test("told faster than it is stored is taken at its last word, and does not pile up", async () => {
    await using lab = await Lab.start();
    using hostile = await lab.raw();
    await hostile.greet();
    const digestOf = (n: number) => String(n).padStart(64, "0");
    const times = 2_000;
    for (let n = 1; n <= times; n++) {
      const snapshot = { service: "cert-connector", version: "1", startedAt: n, checks: [] };
      hostile.say({ type: "state", stream: "health", version: n, digest: digestOf(n), snapshot });
    }
    await until(async () => {
      const row = await lab.cloud.row("SELECT digest FROM connector_health");
      return row?.["digest"] === digestOf(times);
    }, "the last snapshot");
    expect(hostile.isClosed).toBe(false);
  });

  test("with figures without end is refused", async () => {
    await using lab = await Lab.start();
    using hostile = await lab.raw();
    await hostile.greet();
    const figures = Object.fromEntries(Array.from({ length: 501 }, (_, n) => [`f${n}`, n]));
    const snapshot = { service: "cert-connector", version: "1", startedAt: 1, checks: [], figures };
    const digest = "0".repeat(64);
    hostile.say({ type: "state", stream: "health", version: 1, digest, snapshot });
    expect(await hostile.next("refused")).toMatchObject({ code: "link-message-invalid" });
  });
});

describe("entries of its streams", () => {
  const certificate = { serialNumber: "7f", issuer: "CN=Issuing CA", transactionId: "t" };

  test.each([
    ["a time beyond what a date can hold", { event: "issued", at: 8.65e15, ...certificate }],
    ["a time beyond what a number can hold", { event: "issued", at: 1e18, ...certificate }],
    ["an end beyond it", { event: "issued", at: 1, notAfter: 1e18, ...certificate }],
  ])("%s makes a dead letter, and the list stays readable", async (_what, entry) => {
    await using lab = await Lab.start();
    using hostile = await lab.raw();
    await hostile.greet();
    const lines = [JSON.stringify(entry)];
    hostile.sayBinary(
      await makeBatchFrame({ stream: "issuance", firstSeq: 1, isAfterPruned: false, lines }),
    );
    expect(await hostile.next("ack")).toMatchObject({ rejected: [{ code: "entry-invalid" }] });
    expect(await lab.cloud.rows("SELECT * FROM issued_certificate")).toEqual([]);
  });

  test.each([
    ["commands", { id: "c", state: "succeeded", endedAt: 1, result: "nested" }],
    ["audit", { ...auditEntry(), payload: "nested" }],
  ])("a value nested without end in %s makes a dead letter", async (stream, entry) => {
    await using lab = await Lab.start();
    using hostile = await lab.raw();
    await hostile.greet();
    const text = JSON.stringify(entry).replace('"nested"', nested(100_000));
    const lines = [text, JSON.stringify({ ...auditEntry(), id: "c", state: "failed", endedAt: 1 })];
    hostile.sayBinary(await makeBatchFrame({ stream, firstSeq: 1, isAfterPruned: false, lines }));
    expect(await hostile.next("ack")).toMatchObject({
      seq: 2,
      rejected: [{ seq: 1, code: "entry-invalid" }],
    });
  });

  test("certificates are reported by certificate connectors alone", async () => {
    await using lab = await Lab.start("comgmt-bridge");
    const gateway = await enrolConnector(lab.cloud, "tunnel-gateway");
    using hostile = await lab.raw();
    await hostile.greet();
    const lines = [JSON.stringify({ event: "revoked", at: 1, ...certificate })];
    hostile.sayBinary(
      await makeBatchFrame({ stream: "issuance", firstSeq: 1, isAfterPruned: false, lines }),
    );
    expect(await hostile.next("unsupported")).toMatchObject({ of: "stream:issuance" });
    expect(await lab.cloud.rows("SELECT * FROM issued_certificate")).toEqual([]);
    const sql = "SELECT * FROM command WHERE connector_id = ?";
    expect(await lab.cloud.rows(sql, gateway.answer.connectorId)).toEqual([]);
  });

  test("a stream by the name of something every object has is no stream", async () => {
    await using lab = await Lab.start();
    using hostile = await lab.raw();
    await hostile.greet();
    hostile.sayBinary(
      await makeBatchFrame({
        stream: "constructor",
        firstSeq: 1,
        isAfterPruned: false,
        lines: ["{}"],
      }),
    );
    expect(await hostile.next("unsupported")).toMatchObject({ of: "stream:constructor" });
  });
});

function auditEntry() {
  const hash = "0".repeat(64);
  return { index: 1, previousHash: hash, hash, at: 1, event: "x", payloadHash: hash };
}

function nested(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}
