import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import {
  childOf,
  escapeXml,
  MAX_XML_ATTRIBUTES,
  MAX_XML_BYTES,
  MAX_XML_DEPTH,
  MAX_XML_ELEMENTS,
  parseXml,
} from "./xml-element.ts";

const read = (text: string) => parseXml(Buffer.from(text));
const code = (text: string) => thrownCode(() => read(text));

test("elements have attributes, text and children", () => {
  const root = read(
    '<?xml version="1.0" encoding="UTF-8"?>\n<a x="1&amp;2"><b> p&lt;&#x41;&#228; </b><b/></a>',
  );
  expect(root.attributes.get("x")).toBe("1&2");
  expect(root.children.map(({ name, text }) => [name, text])).toEqual([
    ["b", " p<Aä "],
    ["b", ""],
  ]);
  expect(childOf(root, "c")).toBeUndefined();
});

test("a byte order mark before the declaration is passed over", () => {
  expect(read('\ufeff<?xml version="1.0"?><a/>').name).toBe("a");
});

describe("is refused:", () => {
  test.each([
    ["a document type", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "xml-markup"],
    ["an entity's declaration", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "xml-markup"],
    ["a comment", "<a><!-- b --></a>", "xml-markup"],
    ["CDATA", "<a><![CDATA[b]]></a>", "xml-markup"],
    ["a processing instruction", "<a><?php b ?></a>", "xml-markup"],
    ["an unknown entity", "<a>&nbsp;</a>", "xml-malformed"],
    ["an entity named as a property of objects", "<a>&constructor;</a>", "xml-malformed"],
    ["a reference to no character", "<a>&#0;</a>", "xml-malformed"],
    ["a reference to half a character", "<a>&#xd800;</a>", "xml-malformed"],
    ["an ampersand alone", "<a>b & c</a>", "xml-malformed"],
    ["another closing tag", "<a><b></a></b>", "xml-malformed"],
    ["two roots", "<a/><b/>", "xml-malformed"],
    ["a control character", "<a>b\u0001</a>", "xml-malformed"],
    ["a control character in an attribute", '<a x="\0"/>', "xml-malformed"],
    ["what Unicode has as no character", "<a>\ufffe</a>", "xml-malformed"],
    ["an attribute without a value", "<a x/>", "xml-malformed"],
    ["text alone", "abc", "xml-malformed"],
    ["nothing", "", "xml-malformed"],
    ["an attribute twice", '<a x="1" x="2"/>', "xml-malformed"],
    ["a name that objects have", "<__proto__/>", "xml-malformed"],
    ["a name in which the library sees a space", '<a on\ufeff-wire="1"/>', "xml-malformed"],
    ["an element's name that XML has not", "<a><b\u00d7/></a>", "xml-malformed"],
  ])("%s", (_, text, expected) => {
    expect(code(text)).toBe(expected);
  });

  test("what is not UTF-8", () => {
    const latin1 = Buffer.from("<a>\xe4</a>", "latin1");
    expect(thrownCode(() => parseXml(latin1))).toBe("xml-malformed");
  });
});

test("a message may have 65,536 bytes", () => {
  const padded = (length: number) => code(`<a>${" ".repeat(length - 7)}</a>`);
  expect(padded(MAX_XML_BYTES - 1)).toBe("nothing");
  expect(padded(MAX_XML_BYTES)).toBe("nothing");
  expect(padded(MAX_XML_BYTES + 1)).toBe("xml-size");
});

test("elements may lie 16 deep", () => {
  const deep = (depth: number) => code("<a>".repeat(depth) + "</a>".repeat(depth));
  expect(deep(MAX_XML_DEPTH - 1)).toBe("nothing");
  expect(deep(MAX_XML_DEPTH)).toBe("nothing");
  expect(deep(MAX_XML_DEPTH + 1)).toBe("xml-malformed");
  expect(code(`${"<a>".repeat(MAX_XML_DEPTH)}<b/>${"</a>".repeat(MAX_XML_DEPTH)}`)).toBe(
    "xml-malformed",
  );
});

test("a message may have 500 elements", () => {
  const many = (count: number) => code(`<a>${"<b/>".repeat(count - 1)}</a>`);
  expect(many(MAX_XML_ELEMENTS - 1)).toBe("nothing");
  expect(many(MAX_XML_ELEMENTS)).toBe("nothing");
  expect(many(MAX_XML_ELEMENTS + 1)).toBe("xml-elements");
});

test("a message of more elements is refused before anything of it is read", () => {
  expect(code("<b>".repeat(2 * MAX_XML_ELEMENTS + 2))).toBe("xml-elements");
});

test("an element may have 32 attributes", () => {
  const many = (count: number) =>
    code(`<a ${Array.from({ length: count }, (_, index) => `x${index}="1"`).join(" ")}/>`);
  expect(many(MAX_XML_ATTRIBUTES - 1)).toBe("nothing");
  expect(many(MAX_XML_ATTRIBUTES)).toBe("nothing");
  expect(many(MAX_XML_ATTRIBUTES + 1)).toBe("xml-attributes");
});

test("what is escaped is text again when it is read, less what XML cannot hold", () => {
  const text = "<a b='c'>&\"\0\u0007\tä\n";
  expect(read(`<x>${escapeXml(text)}</x>`).text).toBe("<a b='c'>&\"\tä\n");
});
