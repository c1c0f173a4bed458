import { commandContext } from "@isthmus/shared/testing/command-context";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { describe, expect, test } from "vitest";
import type { TransactionTrace } from "../core/trace-view.ts";
import { startConnector } from "../testing/connector-under-test.ts";
import { issued, makeRequest, ScepDevice } from "../testing/scep-device.ts";
import { traceText } from "./trace-text.ts";

async function startService(profile: Record<string, unknown> = {}, rules: object = {}) {
  const it = await startConnector([{ id: "device", ...profile }], { rules });
  const url = `${it.url}/scep/device`;
  const device = new ScepDevice(url);
  /** Sends a PKCSReq with a challenge; `changes` are made to it. */
  const enrol = async (changes?: Record<string, unknown>) => {
    const challengePassword = await it.challenge(changes);
    const subject = parseNameText("CN=whatever");
    const request = await makeRequest({ subject, challengePassword }, it.clock.now());
    const { certificationRequest, signer } = request;
    const wish = { messageType: "PKCSReq", certificationRequest } as const;
    const transaction = await device.begin(wish, signer);
    const answer = await device.send(transaction);
    const { transactionId } = transaction;
    return { answer, transactionId, challengePassword, certificationRequest, signer };
  };
  const trace = async (question: object) => {
    const answer = (await it.service.controls?.["certificate.trace"]?.(question)) as {
      traces: TransactionTrace[];
    };
    return answer.traces;
  };
  return { ...it, url, device, enrol, trace };
}

function steps({ events }: TransactionTrace): string[] {
  return events.map(({ what, outcome }) => `${what}: ${outcome}`);
}

describe("the trace of an enrolment", () => {
  test("goes from GetCACaps to the answer, and is found by transaction, device and certificate", async () => {
    await using it = await startService();
    await fetch(`${it.url}?operation=GetCACaps`);
    const { answer, transactionId } = await it.enrol();
    const [trace] = await it.trace({ transactionId });
    expect(trace).toMatchObject({
      transactionId,
      profileId: "device",
      deviceId: "device-1",
      serialNumber: issued(answer).serialNumber,
      verdict: { outcome: "issued" },
    });
    expect(steps(trace as TransactionTrace)).toEqual([
      "GetCACaps: ok",
      "GetCACert: ok",
      "PKCSReq received: ok",
      "message read: ok",
      "waited for its turn: ok",
      "signature verified: ok",
      "envelope opened: ok",
      "challenge checked: ok",
      "certificate planned: ok",
      "guardrails asked: ok",
      "planned certificate linted: ok",
      "intent stored: ok",
      "CA asked: ok",
      "certificate stored: ok",
      "device answered: ok",
    ]);
    const measured = trace?.events.filter(({ milliseconds }) => (milliseconds ?? 0) > 0);
    expect(measured?.length).toBeGreaterThan(5);
    expect(await it.trace({ deviceId: "device-1" })).toEqual([trace]);
    expect(await it.trace({ serialNumber: issued(answer).serialNumber })).toEqual([trace]);
  });

  test("says why it failed, where, and what to do", async () => {
    await using it = await startService();
    const { transactionId } = await it.enrol({ exp: it.kernel.clock.now() - 1 });
    const [trace] = await it.trace({ transactionId });
    expect(trace?.events.filter(({ outcome }) => outcome === "failed")).toMatchObject([
      { what: "challenge checked", detail: "challenge-expired: The challenge has expired" },
    ]);
    expect(trace?.verdict).toEqual({
      outcome: "failed",
      sentence: "The challenge has expired",
      code: "challenge-expired",
      cause: expect.stringContaining("older"),
      remedy: expect.stringContaining("new challenge"),
    });
    const text = traceText([trace as TransactionTrace]);
    expect(text).toContain("FAILED");
    expect(text).toContain("what to do: make a new challenge");
  });

  test("is found by the device that the challenge proved, though no certificate came of it", async () => {
    await using it = await startService({}, { subjects: ["CN=nobody"] });
    await it.enrol();
    const [trace] = await it.trace({ deviceId: "device-1" });
    expect(trace).toMatchObject({ deviceId: "device-1", verdict: { code: "guardrail" } });
    const failed = trace?.events.find(({ outcome }) => outcome === "failed");
    expect(failed?.what).toBe("guardrails asked");
  });

  test("shows a message that could not be opened", async () => {
    await using it = await startService();
    await using other = await startService();
    const foreign = new ScepDevice(it.url, await other.device.server());
    const now = it.kernel.clock.now();
    const { certificationRequest, signer } = await makeRequest({}, now);
    const wish = { messageType: "PKCSReq", certificationRequest } as const;
    const transaction = await foreign.begin(wish, signer);
    await expect(foreign.send(transaction)).rejects.toThrow("another server signed it");
    const [trace] = await it.trace({ transactionId: transaction.transactionId });
    expect(trace?.verdict).toMatchObject({ outcome: "failed", code: "scep-recipient" });
    expect(trace?.events.at(-2)).toMatchObject({ what: "envelope opened", outcome: "failed" });
  });

  test("waits with the device for a person, and goes on when it is approved", async () => {
    await using it = await startService({ approval: true });
    const { transactionId, certificationRequest, signer } = await it.enrol();
    const [waiting] = await it.trace({ transactionId });
    expect(waiting?.verdict).toMatchObject({
      outcome: "waiting",
      remedy: expect.stringContaining("request approve"),
    });
    expect(waiting?.events.at(-2)).toMatchObject({
      what: "kept for approval",
      outcome: "waiting",
    });
    await it.service.controls?.["request.approve"]?.({ pendingId: 1 });
    const wish = { messageType: "PKCSReq", certificationRequest, transactionId } as const;
    await it.device.send(await it.device.begin(wish, signer));
    const [done] = await it.trace({ transactionId });
    expect(done?.verdict.outcome).toBe("issued");
    expect(steps(done as TransactionTrace)).toContain("intent stored: ok");
  });

  test("holds no challenge and no address", async () => {
    await using it = await startService();
    const { challengePassword, transactionId } = await it.enrol();
    await it.trace({ transactionId });
    const rows = await it.kernel.store.query("SELECT * FROM trace_message", [], 10);
    expect(rows).toHaveLength(1);
    const text = JSON.stringify(rows);
    expect(text).not.toContain(challengePassword.split(".")[1]);
    expect(text).not.toContain("127.0.0.1");
  });

  test("is a command of the control plane too", async () => {
    await using it = await startService();
    const { transactionId } = await it.enrol();
    const command = it.service.commands["certificate.trace"];
    const signal = AbortSignal.timeout(60_000);
    const answer = await command?.run(
      command.payload.parse({ transactionId }),
      commandContext({ id: "1", signal }),
    );
    expect(answer).toMatchObject({ traces: [{ transactionId }] });
    expect(command?.payload.safeParse({}).success).toBe(false);
  });

  test("says so where nothing is known", async () => {
    await using it = await startService();
    expect(await it.trace({ deviceId: "nobody", transactionId: "nothing" })).toEqual([]);
    expect(traceText([])).toContain("Nothing of this transaction");
  });
});
