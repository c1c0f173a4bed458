import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { scriptOutput, writeScriptContent } from "./script-content.ts";
import { readParamsDefinition } from "./script-definition.ts";
import { readXml, xmlText } from "./xml-element.ts";

const LIMITS = { maxCharacters: 100_000, maxElements: 1_000 };
const CONTENT = {
  ...{ scriptGuid: "g", version: "1", type: 0, sha256: "00", groupGuid: "p" },
  hashCase: "lower",
} as const;
/** Text with what XML, JSON and PowerShell give a meaning. */
const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom(..."<>&\"'\\/;=\t\n\r x]!-[CDATA&#;".split("")),
    maxLength: 60,
  }),
);

test("whatever a value holds, it arrives as it was, and changes nothing beside it", () => {
  const values = fc.array(hostile, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(values, (all) => {
      const parameters = all.map((value, at) => ({
        ...{ name: `P${at}`, type: "System.String" as const, value },
      }));
      let content: string;
      try {
        content = writeScriptContent({ ...CONTENT, parameters });
      } catch (error) {
        expect(error).toMatchObject({ code: "xml-unwritable" });
        return;
      }
      const root = readXml(Buffer.from(content, "base64").toString("utf8"), LIMITS);
      expect(root.children.map(({ name }) => name)).toEqual([
        ...["ScriptVersion", "ScriptType", "ScriptHash", "ScriptParameters", "ParameterGroupHash"],
      ]);
      const read = root.children[3]?.children ?? [];
      expect(read.map(({ attributes }) => attributes.get("ParameterValue"))).toEqual(all);
      expect(read.map(({ attributes }) => attributes.get("ParameterName"))).toEqual(
        all.map((_, at) => `P${at}`),
      );
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("text that XML can hold is read as it was written", () => {
  fc.assert(
    fc.property(hostile, (text) => {
      let escaped: string;
      try {
        escaped = xmlText(text);
      } catch (error) {
        expect(error).toMatchObject({ code: "xml-unwritable" });
        return;
      }
      const { text: inner, attributes } = readXml(`<a b="${escaped}">${escaped}</a>`, LIMITS);
      expect([inner, attributes.get("b")]).toEqual([text, text]);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("no bytes make the reader of definitions do anything but read or refuse", () => {
  const markup = fc.array(
    fc.constantFrom(
      "<",
      ">",
      "/",
      "<a",
      " b='c'",
      "</a>",
      "<ScriptParameters>",
      "</ScriptParameters>",
      '<ScriptParameter Name="A" Type="System.Int32"/>',
      "&#x41;",
      "&",
      "x",
      "<!--",
      "<?xml ?>",
    ),
    { maxLength: 30 },
  );
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((all) => Buffer.from(all)),
    markup.map((parts) => Buffer.from(parts.join(""), "utf8")),
    markup.map((parts) => Buffer.from(parts.join(""), "utf16le")),
  );
  fc.assert(
    fc.property(bytes, (all) => {
      try {
        for (const { name } of readParamsDefinition(all.toString("base64"))) {
          expect(name).toMatch(/^[A-Za-z_]/);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("output that a site escapes is what was printed, in both of its forms", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (printed) => {
      const quoted = JSON.stringify(printed.toWellFormed());
      expect(scriptOutput(quoted).text).toBe(printed.toWellFormed());
      const inside = scriptOutput(quoted.slice(1, -1)).text;
      // A list or a string in quotes may itself have been printed: then it is read as what it says.
      if (!/^\s*["[]/.test(quoted.slice(1, -1))) expect(inside).toBe(printed.toWellFormed());
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
