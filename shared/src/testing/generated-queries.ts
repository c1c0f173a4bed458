import fc from "fast-check";
import { MAX_JOINS } from "../cmpivot/limits.ts";
import { generatedExpression, type Scope } from "./generated-expressions.ts";

/** Columns that every entity has in generated queries; a real entity has others. */
export const GENERATED_COLUMNS: Scope = [
  { name: "Device", type: "string" },
  { name: "Name", type: "string" },
  { name: "Version", type: "string" },
  { name: "Size", type: "number" },
  { name: "FreeSpace", type: "number" },
  { name: "Started", type: "datetime" },
  { name: "Age", type: "timespan" },
  { name: "Enabled", type: "bool" },
];

/** A query of the language as a person might have written it, and what it reads. */
export interface GeneratedQuery {
  readonly text: string;
  /** Entities in canonical spelling, each once, sorted. */
  readonly entities: readonly string[];
}

const ENTITIES = ["Device", "OS", "Bios", "Disk", "Service", "InstalledSoftware", "LogicalDisk"];
const WITH_ARGUMENT = ["File", "Registry", "ProcessModule"];
const LOGS = ["EventLog", "CcmLog", "WinEvent"];
const JOIN_KINDS = ["innerunique", "inner", "leftouter", "rightouter", "fullouter", "leftsemi"];

/** A table as it is piped on: its text, its columns, and what was read for it. */
interface Table {
  readonly text: string;
  readonly scope: Scope;
  readonly entities: readonly string[];
}

/** Well-formed and well-typed queries, with joins to a depth of two and no more of them than may be, in varied spacing. */
export function generatedQueries(): fc.Arbitrary<GeneratedQuery> {
  const piped = table(2).filter(({ text }) => text.split("| join ").length - 1 <= MAX_JOINS);
  return fc.tuple(piped, fc.array(SPACES, { minLength: 1, maxLength: 5 })).map(([made, spaces]) => {
    let next = 0;
    const text = made.text.replaceAll(" ", () => spaces[next++ % spaces.length] ?? " ");
    return { text, entities: [...new Set(made.entities)].sort() };
  });
}

const SPACES = fc.constantFrom(
  " ",
  " ",
  " ",
  "  ",
  "\n",
  "\t",
  "\r\n  ",
  " // a comment | where\n",
);

function table(joins: number): fc.Arbitrary<Table> {
  let made = source();
  for (let stage = 0; stage < 3; stage++) {
    made = made.chain((before) => fc.option(operator(before, joins), { nil: before, freq: 4 }));
  }
  return made.chain((before) =>
    fc.boolean().map((isNested) => (isNested ? { ...before, text: `( ${before.text} )` } : before)),
  );
}

function source(): fc.Arbitrary<Table> {
  const scope = GENERATED_COLUMNS;
  const read = (text: string, entity = text) => ({ text, scope, entities: [entity] });
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...ENTITIES).map((entity) => read(entity)) },
    fc
      .tuple(
        fc.constantFrom(...WITH_ARGUMENT),
        fc.constantFrom("'hklm:\\\\a\\\\*'", '"x"', "@'c:\\a'"),
      )
      .map(([entity, path]) => read(`${entity}( ${path} )`, entity)),
    fc
      .tuple(fc.constantFrom(...LOGS), fc.constantFrom("", ", 1h", ", 7d", ", 30m"))
      .map(([entity, window]) => read(`${entity}('Security'${window})`, entity)),
  );
}

function operator(before: Table, joins: number): fc.Arbitrary<Table> {
  const { scope } = before;
  const pipe = (text: string, change: Partial<Table> = {}): Table => ({
    ...before,
    ...change,
    text: `${before.text} | ${text}`,
  });
  const any = fc.constantFrom(...scope).chain(({ type }) => generatedExpression(type, scope, 1));
  const direction = fc.constantFrom("", " asc", " desc");
  const ordering = fc.tuple(any, direction).map(([value, words]) => `${value}${words}`);
  const rows = fc.integer({ min: 0, max: 1_000 });
  const all = [
    fc.constant(pipe("count", { scope: [{ name: "Count", type: "number" }] })),
    fc
      .subarray([...scope], { minLength: 1 })
      .map((kept) => pipe(`distinct ${kept.map(({ name }) => name).join(", ")}`, { scope: kept })),
    fc
      .array(ordering, { minLength: 1, maxLength: 3 })
      .map((by) => pipe(`order by ${by.join(" , ")}`)),
    rows.map((count) => pipe(`take ${count}`)),
    fc.tuple(rows, ordering).map(([count, by]) => pipe(`top ${count} by ${by}`)),
    generatedExpression("bool", scope, 3).map((predicate) => pipe(`where ${predicate}`)),
    generatedExpression("bool", scope, 3).map((predicate) => pipe(`where ${predicate}`)),
    projected(scope).map(({ text, made }) => pipe(`project ${text}`, { scope: made })),
    summarized(scope).map(({ text, made }) => pipe(`summarize ${text}`, { scope: made })),
  ];
  const joined = table(joins - 1).chain((other) =>
    fc
      .constantFrom("", ...JOIN_KINDS.map((kind) => `kind=${kind} `))
      .map((kind) =>
        pipe(`join ${kind}(${other.text})`, { entities: [...before.entities, ...other.entities] }),
      ),
  );
  return joins > 0 && hasDevice(scope) ? fc.oneof(...all, joined) : fc.oneof(...all);
}

function hasDevice(scope: Scope): boolean {
  return scope.some(({ name }) => name === "Device");
}

interface Items {
  readonly text: string;
  readonly made: Scope;
}

/** A name for a new column that is not there yet. */
function newName(scope: Scope, prefix: string, at: number): string {
  const taken = scope
    .filter(({ name }) => name.startsWith(prefix))
    .map(({ name }) => name.slice(1));
  return `${prefix}${Math.max(0, ...taken.map((digits) => Number(digits) + 1 || 0)) + at}`;
}

function projected(scope: Scope): fc.Arbitrary<Items> {
  const computed = fc
    .array(
      fc
        .constantFrom(...scope)
        .chain(({ type }) => generatedExpression(type, scope, 2).map((text) => ({ text, type }))),
      { minLength: 1, maxLength: 3 },
    )
    .map((items) =>
      items.map(({ text, type }, at) => ({ text, name: newName(scope, "P", at), type })),
    );
  return fc.tuple(fc.subarray([...scope]), computed).map(([kept, items]) => ({
    text: [
      ...kept.map(({ name }) => name),
      ...items.map(({ name, text }) => `${name}=${text}`),
    ].join(", "),
    made: [...kept, ...items],
  }));
}

function summarized(scope: Scope): fc.Arbitrary<Items> {
  const number = generatedExpression("number", scope, 1);
  const predicate = generatedExpression("bool", scope, 1);
  const aggregate = fc.oneof(
    fc.constant("count()"),
    predicate.map((where) => `countif( ${where} )`),
    fc.constantFrom(...scope).map(({ name }) => `dcount(${name})`),
    fc
      .tuple(fc.constantFrom("avg", "max", "min", "sum"), number)
      .map(([name, of]) => `${name}(${of})`),
    fc
      .tuple(fc.constantFrom("maxif", "minif", "sumif"), number, predicate)
      .map(([name, of, where]) => `${name}(${of}, ${where})`),
    number.map((of) => `percentile(${of}, 95)`),
  );
  const aggregates = fc.array(aggregate, { minLength: 1, maxLength: 3 }).map((calls) => ({
    text: calls.map((call, at) => `${newName(scope, "A", at)}=${call}`).join(", "),
    made: calls.map((_, at) => ({ name: newName(scope, "A", at), type: "number" as const })),
  }));
  return fc
    .tuple(aggregates, fc.option(fc.subarray([...scope], { minLength: 1 })))
    .map(([items, by]) => ({
      text: by === null ? items.text : `${items.text} by ${by.map(({ name }) => name).join(", ")}`,
      made: [...items.made, ...(by ?? [])],
    }));
}
