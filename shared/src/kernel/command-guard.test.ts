import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { z } from "zod";
import { RefusalError } from "../errors.ts";
import { publicKeyOf, signJws } from "../link/jws.ts";
import { JWS_TYPES, type SignedCommand } from "../link/messages.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { signApproval } from "./approvals.ts";
import { CommandGuard, windowOf } from "./command-guard.ts";
import type { CommonGuardrails } from "./guardrails-file.ts";
import type { ApprovalRule } from "./service-definition.ts";

const clock = new FakeClock();
const command: SignedCommand = {
  id: "c1",
  kind: "certificate.revoke",
  seq: 1,
  aud: "connector-1",
  actor: "ada@example.org",
  issuedAt: clock.now(),
  notBefore: clock.now(),
  expiresAt: clock.now() + 60_000,
  payload: { serialNumber: "0a", reason: "superseded" },
  supersedes: [],
  approvals: [],
};
const ada = generateKeyPairSync("ed25519").privateKey;
const bob = generateKeyPairSync("ed25519").privateKey;
const mallory = generateKeyPairSync("ed25519").privateKey;

function guardrails(rule?: ApprovalRule): CommonGuardrails {
  return {
    commands: {
      allow: [command.kind],
      limits: {},
      approval: rule === undefined ? {} : { [command.kind]: rule },
    },
    approvers: [
      { name: "Ada", publicKey: publicKeyOf(ada) },
      { name: "Bob", publicKey: publicKeyOf(bob) },
    ],
  };
}

function guard(rules: CommonGuardrails, approval?: ApprovalRule) {
  const consumed: string[] = [];
  const made = new CommandGuard({
    guardrails: rules,
    handlers: {
      "certificate.revoke": {
        payload: z.object({ serialNumber: z.string(), reason: z.string() }),
        judge: ({ serialNumber }: { serialNumber: string }) => {
          if (serialNumber !== "ff") return;
          throw new RefusalError("own", "guardrails.cert-connector.serials", "not this one");
        },
        approval: () => approval,
        run: async () => undefined,
      },
    },
    limits: {
      consume: async (kind) => {
        consumed.push(kind);
      },
      windowOf: () => ({ max: 1, perMinutes: 1 }),
    },
    clock,
  });
  return { guard: made, consumed };
}

async function ruleOf(verdict: Promise<unknown>): Promise<string> {
  const error = await verdict.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RefusalError);
  return (error as RefusalError).rule;
}

test("an allowed command with a good payload may run, and counts against its window", async () => {
  const { guard: judge, consumed } = guard(guardrails());
  expect(await judge.judge(command, false)).toBe("run");
  expect(consumed).toEqual(["certificate.revoke"]);
});

test.each([
  ["a kind that is not allowed", { kind: "devices.update" }, "guardrails.commands.allow"],
  ["a name from the prototype", { kind: "constructor" }, "guardrails.commands.allow"],
  [
    "a payload that is not of its kind",
    { payload: { serialNumber: 1 } },
    "payload.certificate.revoke",
  ],
  [
    "what the service's own guardrails refuse",
    { payload: { serialNumber: "ff", reason: "x" } },
    "guardrails.cert-connector.serials",
  ],
])("%s is refused by name and counts against nothing", async (_what, change, rule) => {
  const { guard: judge, consumed } = guard(guardrails());
  expect(await ruleOf(judge.judge({ ...command, ...change }, false))).toBe(rule);
  expect(consumed).toEqual([]);
});

test("an allowed kind that the service does not have is refused", async () => {
  const { guard: judge } = guard({
    ...guardrails(),
    commands: { allow: ["a.b"], limits: {}, approval: {} },
  });
  expect(await ruleOf(judge.judge({ ...command, kind: "a.b" }, false))).toBe("service.commands");
});

test("a command that needs approval waits for the host, and runs once it is given", async () => {
  const { guard: judge, consumed } = guard(guardrails({ signatures: 2, local: true }));
  expect(await judge.judge(command, false)).toBe("await-approval");
  expect(judge.awaitedBy(command)).toEqual({
    ...{ signatures: 2, local: true, rule: "guardrails.commands.approval.certificate.revoke" },
  });
  expect(judge.awaitedBy({ ...command })).toBeUndefined();
  expect(consumed).toEqual([]);
  expect(await judge.judge(command, true)).toBe("run");
  expect(consumed).toHaveLength(1);
});

test("where the host may not approve, a command without signatures is refused", async () => {
  const { guard: judge } = guard(guardrails({ signatures: 1, local: false }));
  const rule = "guardrails.commands.approval.certificate.revoke";
  expect(await ruleOf(judge.judge(command, true))).toBe(rule);
});

test("as many different approvers as the rule wants let it run", async () => {
  const { guard: judge } = guard(guardrails({ signatures: 2, local: false }));
  const one = await signApproval(command, ada);
  const two = await signApproval(command, bob);
  expect(await judge.judge({ ...command, approvals: [one, two] }, false)).toBe("run");
  const twice = judge.judge({ ...command, approvals: [one, one] }, false);
  await expect(twice).rejects.toMatchObject({ code: "approval-missing" });
});

test.each([
  ["by a key that is not listed", () => signApproval(command, mallory)],
  ["of another command", () => signApproval({ ...command, id: "c2" }, ada)],
  ["of the same command for another connector", () => signApproval({ ...command, aud: "x" }, ada)],
  ["of another payload", () => signApproval({ ...command, payload: { serialNumber: "0b" } }, ada)],
  ["that has expired", () => signApproval({ ...command, expiresAt: clock.now() - 1 }, ada)],
  ["of another type", () => signJws({ commandId: "c1" }, JWS_TYPES.command, ada)],
  ["that is no JWS", async () => "a.b.c"],
])("an approval %s counts for nothing", async (_what, approve) => {
  const { guard: judge } = guard(guardrails({ signatures: 1, local: false }));
  const verdict = judge.judge({ ...command, approvals: [await approve()] }, false);
  await expect(verdict).rejects.toMatchObject({ code: "approval-missing" });
});

test("the order of a payload's keys does not matter to its approval", async () => {
  const { guard: judge } = guard(guardrails({ signatures: 1, local: false }));
  const approval = await signApproval(command, ada);
  const payload = { reason: "superseded", serialNumber: "0a" };
  expect(await judge.judge({ ...command, payload, approvals: [approval] }, false)).toBe("run");
});

test("a window is the guardrails', else the kernel's", () => {
  const rules = {
    ...guardrails(),
    commands: { allow: [], limits: { "session-cuts": { max: 3, perMinutes: 2 } }, approval: {} },
  };
  expect(windowOf(rules, "session-cuts")).toEqual({ max: 3, perMinutes: 2 });
  expect(windowOf(rules, "certificate-revocations")).toEqual({ max: 50, perMinutes: 60 });
  expect(windowOf(rules, "toString")).toEqual({ max: 600, perMinutes: 10 });
});

test("a command of a kind that needs nobody's consent may itself need it, here or by signatures", async () => {
  const { guard: local } = guard(guardrails(), { signatures: 1, local: true });
  expect(await local.judge(command, false)).toBe("await-approval");
  expect(await local.judge(command, true)).toBe("run");
  const { guard: signed } = guard(guardrails(), { signatures: 1, local: false });
  expect(await ruleOf(signed.judge(command, true))).toBe(
    "guardrails.commands.approval.certificate.revoke",
  );
  const approvals = [await signApproval(command, ada)];
  expect(await signed.judge({ ...command, approvals }, false)).toBe("run");
  expect(await signed.consentTo({ ...command, approvals }, true)).toEqual({
    isLocal: true,
    signatures: 1,
  });
});
