import { expect, test } from "vitest";
import { z } from "zod";
import { keysAt } from "./configuration-schema.ts";

const users = z.strictObject({ type: z.literal("users"), usersFile: z.string() });
const radius = z.strictObject({ type: z.literal("radius"), servers: z.array(z.string()) });
const schema = z
  .strictObject({
    groups: z.array(z.strictObject({ name: z.string(), label: z.string().optional() })).default([]),
    anchors: z.record(z.string(), z.strictObject({ file: z.string() })).optional(),
    login: z.discriminatedUnion("type", [users, radius]).nullable(),
    source: z.union([z.string(), z.strictObject({ url: z.string() })]).readonly(),
    port: z.strictObject({ from: z.number() }).transform(({ from }) => from),
  })
  .superRefine(() => {});

test.each([
  ["the whole", [], ["groups", "anchors", "login", "source", "port"]],
  ["an entry of a list with a default", ["groups", 3], ["name", "label"]],
  ["an entry of a record that may be left out", ["anchors", "devices"], ["file"]],
  ["the form of a union that the input names", ["login"], ["type", "servers"]],
  ["each form of a union without a name", ["source"], ["url"]],
  ["what is changed as it is read", ["port"], ["from"]],
  ["no object", ["groups", 0, "name"], []],
  ["no such place", ["group", 0], []],
] as const)("the keys of %s", (_, path, keys) => {
  expect(keysAt(schema, path, { login: { type: "radius" } })).toEqual(keys);
});

test("a union whose form the input does not name has no keys", () => {
  expect(keysAt(schema, ["login"], { login: { type: "ldap" } })).toEqual([]);
  expect(keysAt(schema, ["login"], { login: 1 })).toEqual([]);
});
