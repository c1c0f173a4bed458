import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { ConfigurationError } from "../errors.ts";
import { fuzzRuns } from "../testing/fuzz-runs.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { commonConfiguration } from "./common-configuration.ts";
import { parseConfiguration } from "./configuration.ts";
import { builtInGuardrails, loadGuardrails } from "./guardrails-file.ts";
import { openStandalone } from "./standalone-file.ts";

/** What a parser of text from outside may do: return, or throw this one error with a bounded message. */
function survives(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as ConfigurationError).faults.length).toBeGreaterThan(0);
    expect((error as ConfigurationError).faults.length).toBeLessThanOrEqual(101);
  }
}

function toText(value: unknown): string {
  return JSON.stringify(value);
}

/** Valid local files with one value replaced by anything. */
const mutated = fc
  .tuple(
    fc.constantFrom("stateFolder", "cloud", "standalone", "guardrailsFile", "health", "log", "x"),
    fc.jsonValue(),
  )
  .map(([key, value]) =>
    JSON.stringify({ stateFolder: "s", health: { address: "127.0.0.1", port: 1 }, [key]: value }),
  );

test("any text is either a local configuration or refused with its faults", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), mutated), (text) => {
      survives(() => parseConfiguration(commonConfiguration, text, "fuzz.json"));
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("any text is either a standalone document or refused with its faults", () => {
  const document = fc
    .record({ version: fc.jsonValue(), configuration: fc.jsonValue() }, { requiredKeys: [] })
    .map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), document), (text) => {
      survives(() => openStandalone(text, "fuzz.json"));
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("any text is either a guardrails file or refused with its faults", () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "guardrails.json");
  const parts = fc.record(
    { commands: fc.jsonValue(), approvers: fc.jsonValue(), "cert-connector": fc.jsonValue() },
    { requiredKeys: [] },
  );
  const commands = fc.record(
    {
      allow: fc.array(fc.string()),
      limits: fc.jsonValue(),
      approval: fc.dictionary(fc.string(), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  const nearlyValid = fc.tuple(parts, commands).map(([rest, own]) => ({ ...rest, commands: own }));
  const text = fc.oneof(fc.string(), parts.map(toText), nearlyValid.map(toText));
  fc.assert(
    fc.property(text, (content) => {
      writeFileSync(file, content);
      survives(() => loadGuardrails("cert-connector", z.strictObject({}), file));
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("any limits and kinds are either guardrails or refused with their faults", () => {
  const limits = fc.dictionary(
    fc.string(),
    fc.record({ max: fc.jsonValue(), perMinutes: fc.jsonValue() }, { requiredKeys: [] }),
  );
  fc.assert(
    fc.property(fc.array(fc.string()), limits, (allow, limit) => {
      survives(() =>
        builtInGuardrails("cert-connector", z.strictObject({}), {
          allow,
          limits: limit as never,
        }),
      );
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
