import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { implicit, integer, sequence } from "./der-writer.ts";
import type { GeneralName } from "./general-name.ts";
import {
  isNamePermitted,
  nameConstraintsExtension,
  parseNameConstraints,
  type Subtree,
} from "./name-constraints.ts";
import { parseNameText } from "./name-text.ts";

const every: Subtree[] = [
  { type: "dns", value: "example.com" },
  { type: "email", value: ".example.com" },
  { type: "uri", value: ".example.com" },
  { type: "ip", value: Buffer.from("c0000200ffffff00", "hex") },
  { type: "directory", value: parseNameText("O=b,C=DE") },
  { type: "other", value: implicit(8, Buffer.from([42])) },
];

test("every form of subtree comes back", () => {
  const constraints = { permitted: every, excluded: every.toReversed() };
  const { critical, value } = nameConstraintsExtension(constraints);
  expect(critical).toBe(true);
  expect(parseNameConstraints(value)).toEqual(constraints);
});

test.each([
  ["an IP range of five octets", implicit(7, Buffer.alloc(5)), "x509-extension"],
  [
    "a minimum",
    Buffer.concat([implicit(2, Buffer.from("a")), implicit(0, Buffer.from([1]))]),
    "der-trailing",
  ],
])("%s is refused", (_, base, code) => {
  const value = sequence(implicit(0, sequence(base), true));
  expect(thrownCode(() => parseNameConstraints(value))).toBe(code);
});

test("something behind the subtrees is refused", () => {
  expect(thrownCode(() => parseNameConstraints(sequence(integer(1))))).toBe("der-trailing");
});

describe("a subtree", () => {
  const ip = (hex: string): Subtree => ({ type: "ip", value: Buffer.from(hex, "hex") });
  const isWithin = (name: GeneralName, subtree: Subtree) =>
    isNamePermitted(name, { permitted: [subtree], excluded: [] });

  test.each<[string, GeneralName, Subtree, boolean]>([
    [
      "host itself",
      { type: "dns", value: "Example.com" },
      { type: "dns", value: "example.com" },
      true,
    ],
    [
      "host below",
      { type: "dns", value: "a.b.example.com" },
      { type: "dns", value: "example.com" },
      true,
    ],
    [
      "host that ends alike",
      { type: "dns", value: "badexample.com" },
      { type: "dns", value: "example.com" },
      false,
    ],
    [
      "leading dot",
      { type: "dns", value: "a.example.com" },
      { type: "dns", value: ".example.com" },
      true,
    ],
    ["mailbox", { type: "email", value: "a@b.c" }, { type: "email", value: "a@b.c" }, true],
    [
      "another mailbox",
      { type: "email", value: "x@b.c" },
      { type: "email", value: "a@b.c" },
      false,
    ],
    ["mail host", { type: "email", value: "a@b.c" }, { type: "email", value: "b.c" }, true],
    [
      "mail host below, asked for one",
      { type: "email", value: "a@x.b.c" },
      { type: "email", value: "b.c" },
      false,
    ],
    ["mail domain", { type: "email", value: "a@x.b.c" }, { type: "email", value: ".b.c" }, true],
    ["URI host", { type: "uri", value: "https://u@b.c:1/x" }, { type: "uri", value: "b.c" }, true],
    [
      "URI with the host in its path",
      { type: "uri", value: "https://evil/b.c" },
      { type: "uri", value: "b.c" },
      false,
    ],
    [
      "URI without host",
      { type: "uri", value: "urn:isthmus:device:1" },
      { type: "uri", value: "b.c" },
      false,
    ],
    ["IPv4 inside", { type: "ip", value: "192.0.2.77" }, ip("c0000200ffffff00"), true],
    ["IPv4 outside", { type: "ip", value: "192.0.3.77" }, ip("c0000200ffffff00"), false],
    ["IPv6 under an IPv4 range", { type: "ip", value: "::1" }, ip("c0000200ffffff00"), false],
    [
      "name below",
      { type: "directory", value: parseNameText("CN=x,O=B,C=DE") },
      { type: "directory", value: parseNameText("O=b,C=DE") },
      true,
    ],
    [
      "name beside",
      { type: "directory", value: parseNameText("CN=x,O=c,C=DE") },
      { type: "directory", value: parseNameText("O=b,C=DE") },
      false,
    ],
    [
      "shorter name",
      { type: "directory", value: parseNameText("C=DE") },
      { type: "directory", value: parseNameText("O=b,C=DE") },
      false,
    ],
    [
      "UPN, whose form cannot be compared",
      { type: "upn", value: "a@b" },
      { type: "other", value: implicit(0, Buffer.from([1]), true) },
      false,
    ],
  ])("%s", (_, name, subtree, expected) => {
    expect(isWithin(name, subtree)).toBe(expected);
  });
});

describe("constraints", () => {
  const dns = (value: string): Subtree => ({ type: "dns", value });
  const constraints = { permitted: [dns("example.com")], excluded: [dns("secret.example.com")] };

  test.each<[GeneralName, boolean]>([
    [{ type: "dns", value: "a.example.com" }, true],
    [{ type: "dns", value: "a.secret.example.com" }, false],
    [{ type: "dns", value: "other.com" }, false],
    [{ type: "uri", value: "urn:x" }, true],
  ])("%o: %s", (name, expected) => {
    expect(isNamePermitted(name, constraints)).toBe(expected);
  });

  test("what cannot be compared is within what is excluded", () => {
    const excluded: Subtree[] = [{ type: "uri", value: "b.c" }];
    expect(isNamePermitted({ type: "uri", value: "urn:x" }, { permitted: [], excluded })).toBe(
      false,
    );
  });
});
