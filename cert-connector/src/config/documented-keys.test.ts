import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { desiredConfiguration } from "./desired-configuration.ts";
import { guardrails } from "./guardrails.ts";
import { localConfiguration } from "./local-configuration.ts";

const page = readFileSync(
  new URL("../../../docs/cert-connector/README.md", import.meta.url),
  "utf8",
);

/** The keys that a file may have, as its JSON schema says. */
function keysOf(schema: z.ZodType): string[] {
  const { properties } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return Object.keys(properties ?? {});
}

function profileKeys(): string[] {
  const schema = z.toJSONSchema(desiredConfiguration, { io: "input", unrepresentable: "any" });
  const profiles = schema.properties?.["profiles"] as { items: { properties: object } };
  return Object.keys(profiles.items.properties);
}

test.each([
  ["a profile", profileKeys()],
  ["the desired configuration", keysOf(desiredConfiguration)],
  ["the local configuration", keysOf(localConfiguration)],
  ["the guardrails", keysOf(guardrails)],
])("the first page of the documentation names every key of %s", (_what, keys) => {
  expect(keys.length).toBeGreaterThan(2);
  expect(keys.filter((key) => !page.includes(`\`${key}\``))).toEqual([]);
});
