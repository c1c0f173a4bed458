import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { describe, expect, test } from "vitest";
import type { UnsignedConfiguration } from "./admin-records.ts";
import type { UnsignedCommand } from "./connector-records.ts";
import type { Records, Signer } from "./ports.ts";
import { signQueued } from "./sign-queued.ts";

const command = (id: string): UnsignedCommand => ({
  id,
  connectorId: "c1",
  seq: Number(id),
  kind: "health.report",
  payload: {},
  supersedes: [],
  approvals: [],
  actor: "admin",
  issuedAt: 1,
  notBefore: 1,
  expiresAt: 2,
});
const configuration: UnsignedConfiguration = {
  connectorId: "c2",
  version: 3,
  service: "tunnel-gateway",
  configuration: {},
  issuedAt: 1,
};

/** A store with these waiting, and a record of what is asked of it. */
function parts(sign: (kind: string, statement: unknown) => Promise<string>) {
  const asked: unknown[][] = [];
  const woken: string[] = [];
  const answers: Readonly<Record<string, unknown>> = {
    feedGateways: { queued: 0 },
    takeUnsignedCommands: [command("1"), command("2")],
    takeUnsignedConfigurations: [configuration],
  };
  const records = {
    run: async (name: string, argument: unknown) => {
      if (!(name in answers)) asked.push([name, argument]);
      return answers[name];
    },
  } as unknown as Records;
  const signer = {
    signCommand: (statement: unknown) => sign("command", statement),
    signConfiguration: (statement: unknown) => sign("configuration", statement),
  } as unknown as Signer;
  const wakeUp = { wake: (id: string) => void woken.push(id) };
  return { records, signer, wakeUp, clock: new FakeClock(9), asked, woken };
}

test("what waits is signed for its connector, stored, and the connectors are woken once each", async () => {
  const signed: [string, unknown][] = [];
  const of = parts(async (kind, statement) => {
    signed.push([kind, statement]);
    return "jws";
  });
  expect(await signQueued(of)).toEqual({ isMore: false, refused: [] });
  expect(signed).toMatchObject([
    ["command", { id: "1", aud: "c1", seq: 1 }],
    ["command", { id: "2", aud: "c1", seq: 2 }],
    ["configuration", { aud: "c2", version: 3, service: "tunnel-gateway" }],
  ]);
  for (const [, statement] of signed) expect(statement).not.toHaveProperty("connectorId");
  expect(of.asked).toEqual([
    ["storeCommandSignature", { id: "1", jws: "jws" }],
    ["storeCommandSignature", { id: "2", jws: "jws" }],
    ["storeConfigurationSignature", { connectorId: "c2", version: 3, jws: "jws" }],
  ]);
  expect(of.woken).toEqual(["c1", "c2"]);
});

describe("when the signer", () => {
  test("is away, nothing is ended and the round fails, to be tried again", async () => {
    const away = new ConnectorError("signer-unreachable", "away", { isRetryable: true });
    const of = parts(() => Promise.reject(away));
    await expect(signQueued(of)).rejects.toBe(away);
    expect(of.asked).toEqual([]);
  });

  test("refuses a command, that one is ended and the others go on", async () => {
    const of = parts(async (_kind, statement) => {
      if ((statement as { id: string }).id === "1") {
        throw new RefusalError("statement-conflict", "rule", "signed before");
      }
      return "jws";
    });
    const { refused } = await signQueued(of);
    expect(refused).toEqual([{ id: "1", code: "statement-conflict" }]);
    expect(of.asked).toContainEqual([
      "refuseUnsignedCommand",
      { id: "1", error: { code: "statement-conflict", message: "signed before" }, now: 9 },
    ]);
    expect(of.asked).toContainEqual(["storeCommandSignature", { id: "2", jws: "jws" }]);
  });

  test("knows another command of the lowest seq, the whole queue is given later ones, none signed before", async () => {
    const asked: unknown[] = [];
    const of = parts(async (kind, statement) => {
      asked.push([kind, (statement as { seq?: number }).seq]);
      if ((statement as { seq: number }).seq === 1) {
        throw new RefusalError("sequence-conflict", "rule", "another");
      }
      return "jws";
    });
    expect(await signQueued(of)).toEqual({ isMore: true, refused: [] });
    expect(of.asked).toContainEqual(["renumberCommands", { connectorId: "c1" }]);
    expect(asked).toEqual([
      ["command", 1],
      ["configuration", undefined],
    ]);
  });

  test("knows another configuration of this version, it gets the next number", async () => {
    const of = parts(async (kind) => {
      if (kind === "configuration") throw new RefusalError("sequence-conflict", "rule", "other");
      return "jws";
    });
    await signQueued(of);
    expect(of.asked).toContainEqual(["renumberConfiguration", { connectorId: "c2", version: 3 }]);
  });
});
