import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { ConfigurationError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { builtInGuardrails, inspectGuardrailsFile, loadGuardrails } from "./guardrails-file.ts";

const rules = z.strictObject({ profiles: z.array(z.string()).default([]) });
const x = "a".repeat(43);
const good = {
  commands: {
    allow: ["certificate.revoke"],
    limits: { "certificate.revoke": { max: 5, perMinutes: 60 } },
    approval: { "certificate.revoke": { signatures: 1, local: false } },
  },
  approvers: [{ name: "Ada", publicKey: { kty: "OKP", crv: "Ed25519", x } }],
  "cert-connector": { profiles: ["device"] },
};

function load(content: unknown) {
  using folder = temporaryFolder();
  const file = join(folder.path, "guardrails.json");
  writeFileSync(file, JSON.stringify(content));
  return loadGuardrails("cert-connector", rules, file);
}

test("a guardrails file gives the common rules and the service's own section", () => {
  const loaded = load(good);
  expect(loaded.commands).toEqual(good.commands);
  expect(loaded.rules).toEqual({ profiles: ["device"] });
});

test("what is left out is empty, so nothing is allowed by forgetting", () => {
  const { commands, approvers, rules: own } = load({ commands: { allow: [] } });
  expect(commands).toEqual({ allow: [], limits: {}, approval: {} });
  expect(approvers).toEqual([]);
  expect(own).toEqual({ profiles: [] });
});

test.each([
  ["another service's section", { ...good, "tunnel-gateway": {} }, "tunnel-gateway: unknown key"],
  [
    "an unknown rule of the service",
    { ...good, "cert-connector": { profile: 1 } },
    "cert-connector.profile: unknown key; did you mean profiles?",
  ],
  ["no commands", { approvers: [] }, "commands: is missing, expected object"],
  [
    "more signatures than approvers, and no other way",
    { ...good, approvers: [] },
    "commands.approval.certificate.revoke: needs 1 signatures, but 0 approvers are listed",
  ],
  [
    "a window of no minutes",
    { commands: { allow: [], limits: { a: { max: 1, perMinutes: 0 } } } },
    "commands.limits.a.perMinutes: Too small: expected number to be >=1",
  ],
])("%s is a fault", (_what, content, fault) => {
  try {
    load(content);
    expect.unreachable();
  } catch (error) {
    expect((error as ConfigurationError).faults).toContain(fault);
  }
});

test("the number of kinds is bounded: 100 pass, 101 do not", () => {
  const kinds = (count: number) => Array.from({ length: count }, (_, n) => `a.k${n}`);
  expect(load({ commands: { allow: kinds(100) } }).commands.allow).toHaveLength(100);
  expect(() => load({ commands: { allow: kinds(101) } })).toThrow(ConfigurationError);
});

test("the built-in guardrails allow a health report and nothing else", () => {
  const builtIn = builtInGuardrails("cert-connector", rules);
  expect(builtIn.commands.allow).toEqual(["health.report"]);
  expect(builtIn.source).toBe("built-in");
});

test("without a file health warns, and strict refuses to start", () => {
  expect(inspectGuardrailsFile(undefined, false)?.reason).toMatch(/no guardrails file/);
  expect(() => inspectGuardrailsFile(undefined, true)).toThrow(
    expect.objectContaining({ code: "guardrails-missing" }),
  );
});

test("a file that this process could write is a warning, and under strict an error", () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "guardrails.json");
  writeFileSync(file, JSON.stringify(good));
  expect(inspectGuardrailsFile(file, false)?.reason).toMatch(/may be written by this process/);
  expect(() => inspectGuardrailsFile(file, true)).toThrow(
    expect.objectContaining({ code: "guardrails-writable" }),
  );
});

/** Runs the inspection as another user; access(2) asks with the real user id, so that takes a process of its own. */
function inspectAs(uid: number, file: string): string {
  const script = `
    process.setgid(${uid}); process.setuid(${uid});
    const { inspectGuardrailsFile } = await import(${JSON.stringify(guardrailsModule)});
    process.stdout.write(String(inspectGuardrailsFile(${JSON.stringify(file)}, false)?.reason));`;
  const arguments_ = ["--input-type=module", "-e", script];
  return execFileSync(process.execPath, arguments_, { encoding: "utf8" });
}
const guardrailsModule = new URL("./guardrails-file.ts", import.meta.url).href;

const mayRun = process.geteuid?.() === 0 || process.env["CI"] === "true";
test.runIf(mayRun)("root's file in root's folder is safe from others", () => {
  using folder = temporaryFolder();
  chmodSync(folder.path, 0o755);
  const file = join(folder.path, "guardrails.json");
  writeFileSync(file, JSON.stringify(good));
  chmodSync(file, 0o644);
  expect(inspectAs(65_534, file)).toBe("undefined");
  chmodSync(folder.path, 0o777);
  expect(inspectAs(65_534, file)).toMatch(/could put another file in place/);
  chmodSync(folder.path, 0o755);
  chownSync(file, 65_534, 65_534);
  chmodSync(file, 0o444);
  expect(inspectAs(65_534, file)).toMatch(/belongs to this process's user/);
});
