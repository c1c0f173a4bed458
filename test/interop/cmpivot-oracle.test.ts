import { parseQuery } from "@isthmus/shared/cmpivot/parser";
import { readsOf } from "@isthmus/shared/cmpivot/reads";
import { codeOf } from "@isthmus/shared/errors";
import { brokenQueries } from "@isthmus/shared/testing/broken-queries";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { generatedQueries } from "@isthmus/shared/testing/generated-queries";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type KustoFault, loadKusto } from "./cmpivot/kusto-adapter.ts";

/**
 * Kusto's own language service as a second opinion: CMPivot is a part of Kusto. Either both take a query or both refuse
 * it, or the difference is of a class below.
 */

interface Laxer {
  readonly example: string;
  isOf(fault: KustoFault, text: string): boolean;
}

/** What Kusto refuses, and CMPivot has or we leave to the site. */
const LAXER_THAN_KUSTO: Readonly<Record<string, Laxer>> = {
  "a join is on the Device column without saying so": {
    example: "Device | join (OS)",
    isOf: ({ message }) => message === "Missing join on condition clause",
  },
  "an entity may be in any case, and one that is not documented may be a class of the inventory": {
    example: "bios | count",
    isOf: ({ code, start }, text) =>
      /^KS(142|204|211|117)$/.test(code) &&
      /(^|[(|]|join(\s+kind=\w+)?)(\s|\/\/.*\n)*$/.test(text.slice(0, start)),
  },
  "only the site knows the columns of an entity": {
    example: "Bios | where SerialNumber == 'x'",
    isOf: ({ code }) => /^KS(108|117|142)$/.test(code),
  },
  "only the site knows the types of columns": {
    example: "Bios | where Size startswith 'x'",
    isOf: ({ code }) => /^KS(106|107|116|121|127|134|137|138|141|206)$/.test(code),
  },
};

interface Stricter {
  readonly example: string;
  readonly refusal: RegExp;
}

/** What Kusto takes and we refuse, by code and message of the refusal. */
const STRICTER_THAN_KUSTO: Readonly<Record<string, Stricter>> = {
  "operators, signs and literals that CMPivot does not document": {
    example: "Bios | extend X = 1",
    refusal: /^query-outside-language/,
  },
  "functions that CMPivot does not document": {
    example: "Bios | project tolower(Name)",
    refusal: /^query-function-unknown/,
  },
  "render, which only the console has": {
    example: "Bios | render barchart",
    refusal: /^query-render-refused/,
  },
  "datetime() with what is no point in time": {
    example: "Bios | where Started > datetime(2026-02-30)",
    refusal: /^query-literal-malformed.*datetime\(/,
  },
  "numbers and timespans in forms that CMPivot does not document": {
    example: "Bios | where Age > 3microseconds or Size > 1.",
    refusal: /^query-literal-malformed.*neither a number nor a timespan/,
  },
  "summarize with what is no aggregate by itself": {
    example: "Bios | summarize 1 + count()",
    refusal: /^query-aggregate-misplaced/,
  },
  "texts beside each other as one text": {
    example: "Bios | where Name == 'a' 'b'",
    refusal: /^query-syntax.* but @?['"]/,
  },
  "a plus sign before a number": {
    example: "Bios | project +1",
    refusal: /^query-syntax.* but \+ came/,
  },
  "lists without anything in them": {
    example: "Bios | summarize",
    refusal: /^query-syntax.*a column, a value or a function, but (the end|\||\)|by) came/,
  },
  "an operator's name as the name of a column": {
    example: "Bios | project count=1",
    refusal: /^query-syntax.*expected a (name for the )?column/,
  },
  "arguments of entities that are no literals": {
    example: "Bios | join (File(strcat('a', 'b')) | take 1)",
    refusal: /^query-syntax.*text in quotation marks for/,
  },
  "computed columns in distinct, and names for columns in order by": {
    example: "Bios | distinct strlen(Name)",
    refusal: /^query-syntax.*expected (\) or \||\| or the end), but [=(+*/%-] came/,
  },
  "a number of rows that is computed, or parameters of operators": {
    example: "Bios | take Size",
    refusal: /^query-syntax.*expected (a number of rows|one of innerunique)/,
  },
  "no entity at all, or a value in its place": {
    example: "",
    refusal: /^query-syntax.*an entity such as Device/,
  },
};

const NO_CLASS = "of no class";
const SEED = 2107;
const QUERIES = 10_000;
const kusto = loadKusto();

/** `!like` is CMPivot's alone; in Kusto's grammar `!contains` stands where it would. */
const NOT_LIKE = /!like\b/g;

function ours(text: string): string | undefined {
  try {
    readsOf(parseQuery(text));
    return undefined;
  } catch (error) {
    return `${codeOf(error)} ${error instanceof Error ? error.message : ""}`;
  }
}

/** The classes of what the two make differently of a text; empty where they agree. */
function differences(text: string): readonly string[] {
  const asked = text.replaceAll(NOT_LIKE, "!contains");
  const shift = (start: number) => asked.slice(0, start).replaceAll("!contains", "!like").length;
  const faults = kusto(asked).map((fault) => ({ ...fault, start: shift(fault.start) }));
  const refusal = ours(text);
  if (refusal === undefined) {
    return faults.map((fault) =>
      nameOf(LAXER_THAN_KUSTO, (one) => one.isOf(fault, text), fault, text),
    );
  }
  const isImplicitJoinAlone = faults.every(({ message }) => message.startsWith("Missing join on"));
  if (!isImplicitJoinAlone) return [];
  return [nameOf(STRICTER_THAN_KUSTO, (one) => one.refusal.test(refusal), refusal, text)];
}

function nameOf<Class>(
  classes: Readonly<Record<string, Class>>,
  isOf: (one: Class) => boolean,
  difference: unknown,
  text: string,
): string {
  const [name] = Object.entries(classes).find(([, one]) => isOf(one)) ?? [];
  return name ?? `${NO_CLASS}: ${JSON.stringify(difference)} in ${JSON.stringify(text)}`;
}

test.each([...Object.entries(LAXER_THAN_KUSTO), ...Object.entries(STRICTER_THAN_KUSTO)])(
  "the two differ: %s",
  (name, { example }) => {
    expect(differences(example)).toContain(name);
  },
);

test("Kusto refuses !like, and takes !contains in its place", () => {
  expect(kusto("Bios | where Name !like 'a'")).not.toEqual([]);
  expect(differences("Bios | where Name !like 'a'")).toEqual([]);
});

test("both take the same queries and refuse the same, but for the classes", {
  timeout: 600_000,
}, () => {
  const runs = fuzzRuns(QUERIES / 2);
  const good = fc.sample(generatedQueries(), { seed: SEED, numRuns: runs }).map(({ text }) => text);
  const broken = fc.sample(brokenQueries(), { seed: SEED, numRuns: runs });
  expect(good.filter((text) => ours(text) !== undefined)).toEqual([]);
  const counts = new Map<string, number>();
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const text of good) {
    const found = new Set(differences(text));
    found.delete("a join is on the Device column without saying so");
    expect([...found], text).toEqual([]);
    count("both take it, generated");
  }
  for (const text of broken) {
    const found = new Set(differences(text));
    if (found.size === 0)
      count(ours(text) === undefined ? "both take it, broken" : "both refuse it");
    for (const name of found) count(name);
    if (NOT_LIKE.test(text)) count("with !like, asked as !contains");
  }
  const lines = [...counts].sort(([, one], [, other]) => other - one);
  process.stdout.write(`${lines.map(([name, number]) => `${number}\t${name}`).join("\n")}\n`);
  expect([...counts.keys()].filter((name) => name.startsWith(NO_CLASS))).toEqual([]);
  for (const name of Object.keys(LAXER_THAN_KUSTO))
    expect(counts.get(name), name).toBeGreaterThan(0);
  expect(counts.get("both take it, broken")).toBeGreaterThan(runs / 20);
  expect(counts.get("both refuse it")).toBeGreaterThan(runs / 2);
});
