import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { site } from "./site.ts";

const page = readFileSync(new URL("../../../docs/comgmt-bridge/site.md", import.meta.url), "utf8");

interface Keys {
  readonly properties?: Readonly<Record<string, Keys>>;
  readonly default?: unknown;
}

test("the page about the site names every key, and every default as it is", () => {
  const schema = z.toJSONSchema(site, { io: "input", unrepresentable: "any" }) as Keys;
  const limits = schema.properties?.["limits"]?.properties ?? {};
  const keys = [...Object.keys(schema.properties ?? {}), ...Object.keys(limits)];
  expect(keys.filter((key) => !page.includes(`\`${key}\``))).toEqual([]);
  const rows = Object.entries(limits).map(
    ([key, { default: value }]) => `| \`${key}\` | ${Number(value).toLocaleString("en")} |`,
  );
  expect(rows.filter((row) => !page.includes(row))).toEqual([]);
  expect(rows.length).toBeGreaterThan(5);
});
