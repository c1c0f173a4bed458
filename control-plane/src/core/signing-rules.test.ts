import { describe, expect, test } from "vitest";
import { MAX_CHALLENGE_MINUTES } from "./scep-challenge.ts";
import { MAX_COMMAND_LIFETIME_MS, SigningRules, type StatementKind } from "./signing-rules.ts";

const command = {
  id: "c1",
  kind: "certificate.revoke",
  seq: 1,
  aud: "connector-1",
  actor: "admin",
  issuedAt: 1_000,
  notBefore: 1_000,
  expiresAt: 2_000,
  payload: { serialNumber: "1f", reason: "keyCompromise" },
  supersedes: [],
  approvals: [],
};
const configuration = {
  aud: "connector-1",
  version: 1,
  service: "tunnel-gateway",
  issuedAt: 1_000,
  configuration: { policies: [] },
};
const challenge = {
  jti: "j1",
  aud: "any",
  profileId: "p",
  deviceId: "d",
  subject: "CN=d",
  subjectAltNames: [],
  iat: 0,
  exp: 60_000,
};

function signed(kind: StatementKind, value: unknown): SigningRules {
  const rules = new SigningRules();
  rules.remember(rules.judge(kind, value));
  return rules;
}

describe("a statement by its schema is accepted and signed as it is", () => {
  test.each([
    ["command" as const, command],
    ["configuration" as const, configuration],
    ["challenge" as const, challenge],
    ["auditHead" as const, { aud: "c", index: 1, hash: "0".repeat(64), receivedAt: 1 }],
  ])("%s", (kind, value) => {
    expect(new SigningRules().judge(kind, value)).toMatchObject({ kind, statement: value });
  });
});

describe("refused", () => {
  test.each([
    ["a string", "command", "sign this", "statement-invalid"],
    ["a command without seq", "command", { ...command, seq: undefined }, "statement-invalid"],
    ["an unknown kind", "command", { ...command, kind: "shell.run" }, "command-kind"],
    ["a kind by prototype", "command", { ...command, kind: "to.string" }, "command-kind"],
    ["a payload of another kind", "command", { ...command, payload: {} }, "statement-invalid"],
    [
      "a command that lives too long",
      "command",
      { ...command, expiresAt: command.issuedAt + MAX_COMMAND_LIFETIME_MS + 1 },
      "command-lifetime",
    ],
    [
      "a command over before it began",
      "command",
      { ...command, expiresAt: 999 },
      "command-lifetime",
    ],
    [
      "a challenge that lives too long",
      "challenge",
      { ...challenge, exp: MAX_CHALLENGE_MINUTES * 60_000 + 60_000 },
      "challenge-lifetime",
    ],
    [
      "a challenge with other fields",
      "challenge",
      { ...challenge, admin: true },
      "statement-invalid",
    ],
    ["a command as configuration", "configuration", command, "statement-invalid"],
  ] as const)("%s", (_what, kind, value, code) => {
    expect(() => new SigningRules().judge(kind, value)).toThrow(expect.objectContaining({ code }));
  });
});

describe("a name stands for one statement", () => {
  test("the same statement may be signed again, as after a crash", () => {
    expect(signed("command", command).judge("command", { ...command }).names).toHaveLength(2);
  });

  test.each([
    ["the same id", "command", command, { ...command, seq: 2 }, "statement-conflict"],
    [
      "the same seq of a connector",
      "command",
      command,
      { ...command, id: "c2" },
      "sequence-conflict",
    ],
    [
      "another payload",
      "command",
      command,
      { ...command, payload: { serialNumber: "1f", reason: "superseded" } },
      "statement-conflict",
    ],
    [
      "the same version",
      "configuration",
      configuration,
      { ...configuration, configuration: {} },
      "sequence-conflict",
    ],
    [
      "the same challenge id",
      "challenge",
      challenge,
      { ...challenge, deviceId: "e" },
      "statement-conflict",
    ],
  ] as const)("%s", (_what, kind, first, second, code) => {
    expect(() => signed(kind, first).judge(kind, second)).toThrow(
      expect.objectContaining({ code }),
    );
  });

  test("the same seq of another connector is another name", () => {
    const other = { ...command, id: "c2", aud: "connector-2" };
    expect(signed("command", command).judge("command", other).statement).toEqual(other);
  });
});
