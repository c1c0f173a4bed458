import { expect, test } from "vitest";
import { z } from "zod";
import { BodyInvalid, parseWithWords } from "./body-faults.ts";

const schema = z.strictObject({
  version: z.string().min(1).max(64),
  sha256: z.string().regex(/^[0-9a-f]{4}$/, "SHA-256 of the script in hex"),
  notification: z.enum(["restart", "quickScan"]).optional(),
  parameters: z
    .array(z.strictObject({ name: z.string(), value: z.string() }))
    .max(2)
    .default([]),
  days: z.number().int().min(1).max(90).optional(),
  deviceId: z.guid().optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  set: z.record(z.string().min(1), z.string()).optional(),
  network: z.union([z.cidrv4(), z.cidrv6()]).optional(),
  command: z
    .discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("trace"), depth: z.number() }),
      z.strictObject({ kind: z.literal("report") }),
    ])
    .optional(),
  other: z
    .unknown()
    .refine((value) => value === undefined)
    .optional(),
});
const good = { version: "1", sha256: "00ff" };

function faultsOf(body: unknown): readonly (readonly [string, string])[] {
  try {
    parseWithWords(schema, body);
  } catch (error) {
    if (error instanceof BodyInvalid)
      return error.faults.map((each) => [each.target, each.message]);
    throw error;
  }
  return [];
}

test("a good body is taken, with its defaults", () => {
  expect(parseWithWords(schema, good)).toEqual({ ...good, parameters: [] });
});

test.each<[string, unknown, string, string]>([
  ["what is missing", { sha256: "00ff" }, "version", 'is missing; expected text, such as "..."'],
  [
    "another type",
    { ...good, version: 1 },
    "version",
    'expected text, such as "...", got a number',
  ],
  ["too little text", { ...good, version: "" }, "version", "expected at least 1 character, got 0"],
  [
    "a slip in a name",
    { ...good, notificaton: "restart" },
    "notificaton",
    "is no property here (did you mean notification?); known are version, sha256, notification, parameters, days, deviceId, until, set, network, command, other",
  ],
  [
    "a slip in a value",
    { ...good, notification: "restrat" },
    "notification",
    'expected one of restart, quickScan, got "restrat" (did you mean restart?)',
  ],
  ["words of the schema's own", { ...good, sha256: "x" }, "sha256", "SHA-256 of the script in hex"],
  [
    "a property deep in a list",
    { ...good, parameters: [{ name: "a", value: "b" }, { name: "c" }] },
    "parameters[1].value",
    'is missing; expected text, such as "..."',
  ],
  [
    "too many",
    { ...good, parameters: Array(3).fill({ name: "a", value: "b" }) },
    "parameters",
    "expected at most 2 entries, got 3",
  ],
  ["a fraction", { ...good, days: 1.5 }, "days", "expected a whole number, got the number 1.5"],
  ["too much", { ...good, days: 91 }, "days", "expected a number of at most 90, got 91"],
  [
    "no GUID",
    { ...good, deviceId: "PC0" },
    "deviceId",
    "expected a GUID such as 5f1a2b3c-7d4e-4c55-9a61-0c2d4e6f8a10",
  ],
  [
    "a time without a zone",
    { ...good, until: "2026-03-01T08:00:00" },
    "until",
    "expected a time with its zone, such as 2026-03-01T08:00:00Z",
  ],
  [
    "an empty name",
    { ...good, set: { "": "x" } },
    "set.",
    "this name does not fit: expected at least 1 character, got 0",
  ],
  [
    "no network",
    { ...good, network: "x" },
    "network",
    "expected an IPv4 network such as 10.8.0.0/16 or an IPv6 network such as 2001:db8::/64",
  ],
  [
    "an alternative that is none",
    { ...good, command: { kind: "tracee" } },
    "command.kind",
    'expected one of trace, report, got "tracee" (did you mean trace?)',
  ],
  ["a check without words", { ...good, other: 1 }, "other", "is not as it has to be here"],
  ["a list", [], "", "expected an object, such as {...}, got a list"],
  ["nothing", undefined, "", "is missing; expected an object, such as {...}"],
])("%s is told with its path and what was expected", (_what, body, target, message) => {
  expect(faultsOf(body)).toContainEqual([target, message]);
});

test("all faults stand in one message, and the first twenty by themselves", () => {
  const body = { ...good, parameters: Array(2).fill({}), days: 0 };
  expect(() => parseWithWords(schema, body)).toThrow(
    /^parameters\[0\]\.name: is missing; .*; parameters\[1\]\.value: is missing; .*; days: expected a number of at least 1, got 0$/,
  );
  const many = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`p${n}`, 1]));
  const all = z.strictObject(Object.fromEntries(Object.keys(many).map((key) => [key, z.string()])));
  let thrown: unknown;
  try {
    parseWithWords(all, many);
  } catch (error) {
    thrown = error;
  }
  expect((thrown as BodyInvalid).faults).toHaveLength(20);
  expect((thrown as BodyInvalid).message).toMatch(/; and 10 more faults$/);
});

test("no more than its beginning is repeated of what came", () => {
  const [fault] = faultsOf({ ...good, notification: "x".repeat(10_000) });
  expect(fault?.[1].length).toBeLessThan(120);
  const [name] = faultsOf({ ...good, ["y".repeat(10_000)]: 1 });
  expect(`${name?.[0]}${name?.[1]}`.length).toBeLessThan(300);
});
