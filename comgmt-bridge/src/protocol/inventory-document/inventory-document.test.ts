import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { firstRow, parseInventoryDocument } from "./inventory-document.ts";

const xml = (content: string, rest = "<DEVICEID>pc-1</DEVICEID><QUERY>INVENTORY</QUERY>") =>
  Buffer.from(
    `<?xml version="1.0" encoding="UTF-8" ?>\n<REQUEST><CONTENT>${content}</CONTENT>${rest}</REQUEST>`,
  );
const json = (content: object, rest: object = { action: "inventory", deviceid: "pc-1" }) =>
  Buffer.from(JSON.stringify({ ...rest, content }));
const refused = (bytes: Uint8Array) => thrownCode(() => parseInventoryDocument(bytes));

test("sections come as rows, whichever agent wrote them", () => {
  const documents = [
    xml(
      "<HARDWARE><NAME>pc-1</NAME><MEMORY>4096</MEMORY><DESCRIPTION></DESCRIPTION></HARDWARE>" +
        "<DRIVES><TYPE>/</TYPE></DRIVES><DRIVES><TYPE>/home</TYPE></DRIVES>" +
        "<VERSIONCLIENT>Agent_v2.6</VERSIONCLIENT>",
    ),
    json({
      hardware: { name: "pc-1", memory: "4096", description: "" },
      drives: [{ type: "/" }, { type: "/home" }],
      versionclient: "Agent_v2.6",
    }),
  ];
  for (const bytes of documents) {
    const document = parseInventoryDocument(bytes);
    expect(document).toMatchObject({ deviceId: "pc-1", agent: "Agent_v2.6" });
    expect(firstRow(document, "HARDWARE")).toEqual({ NAME: "pc-1", MEMORY: "4096" });
    expect(document.sections.get("DRIVES")).toEqual([{ TYPE: "/" }, { TYPE: "/home" }]);
  }
});

test("numbers of JSON stay numbers, and a field that repeats is a list", () => {
  const document = parseInventoryDocument(json({ cpus: [{ core: 4, isvirtual: true }] }));
  expect(document.sections.get("CPUS")).toEqual([{ CORE: 4, ISVIRTUAL: true }]);
  const groups = "<LOCAL_GROUPS><MEMBER>a</MEMBER><MEMBER>b</MEMBER></LOCAL_GROUPS>";
  expect(parseInventoryDocument(xml(groups)).sections.get("LOCAL_GROUPS")).toEqual([
    { MEMBER: ["a", "b"] },
  ]);
});

test("the characters that XML writes otherwise are read once", () => {
  const { sections } = parseInventoryDocument(
    xml("<BIOS><A>a &lt;b&gt; &amp;lt; &#65;&#x42; &#0; &other;</A><B>x &amp; y</B></BIOS>"),
  );
  expect(sections.get("BIOS")).toEqual([{ A: "a <b> &lt; AB  &other;", B: "x & y" }]);
});

test("what declares entities is refused before it is read", () => {
  const bomb = '<!DOCTYPE a [<!ENTITY b "bbbb">]><REQUEST>&b;</REQUEST>';
  for (const text of [bomb, bomb.toLowerCase()]) expect(refused(Buffer.from(text))).toBe(CODE);
});

const CODE = "inventory-document";

test.each([
  ["nothing", Buffer.alloc(0)],
  ["half of it", xml("<BIOS></BIOS>").subarray(0, 80)],
  ["half of the JSON", json({ bios: {} }).subarray(0, 20)],
  ["another query", xml("<BIOS></BIOS>", "<DEVICEID>a</DEVICEID><QUERY>PROLOG</QUERY>")],
  ["another action", json({}, { action: "contact", deviceid: "a" })],
  ["no device", xml("<BIOS><A>1</A></BIOS>", "<QUERY>INVENTORY</QUERY>")],
  ["a path for a device", json({}, { action: "inventory", deviceid: "../../etc/passwd" })],
  ["no content", xml("")],
  ["a list for content", json([])],
  ["other bytes than UTF-8", Buffer.from([0x3c, 0xff, 0xfe])],
  ["too deep nesting", xml("<A>".repeat(20) + "</A>".repeat(20))],
  [
    "too many sections",
    json(Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`S${n}`, {}]))),
  ],
  [
    "too many fields",
    json({ a: Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`F${n}`, 1])) }),
  ],
  ["too long a text", json({ a: { b: "x".repeat(65_537) } })],
  ["too many rows", json({ a: Array.from({ length: 50_001 }, () => ({})) })],
  ["too many values", json({ a: { b: Array.from({ length: 10_001 }, () => "x") } })],
])("%s is refused", (_, bytes) => {
  expect(refused(bytes)).toBe(CODE);
});

test("at the limits it is taken", () => {
  const many = (count: number, name: string, value: unknown) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`${name}${n}`, value]));
  for (const content of [
    many(200, "S", {}),
    { a: many(200, "F", 1) },
    { a: { b: "x".repeat(65_536) } },
    { a: Array.from({ length: 50_000 }, () => ({})) },
    { a: { b: Array.from({ length: 10_000 }, () => "x") } },
  ]) {
    expect(refused(json(content))).toBe("nothing");
  }
});

test("names that are no names, and fields with parts, are left out", () => {
  const { sections } = parseInventoryDocument(
    json({ "__proto__ ": {}, "1a": {}, a: { "b c": 1, d: { e: 1 }, f: null, g: 1 } }),
  );
  expect([...sections]).toEqual([["A", [{ G: 1 }]]]);
});
