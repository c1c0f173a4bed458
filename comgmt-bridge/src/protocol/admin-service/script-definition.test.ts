import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { readParamsDefinition, storedBytes } from "./script-definition.ts";

const DECLARED = '<?xml version="1.0" encoding="utf-16"?><ScriptParameters SchemaVersion="1">';
const BUILT_IN = `${DECLARED}<ScriptParameter Name="kustoquery" FriendlyName="kustoquery" Type="System.String" Description="" IsRequired="false" IsHidden="false" DefaultValue=""><Validators /></ScriptParameter></ScriptParameters>`;
const RICH = `${DECLARED}
  <ScriptParameter Name="Action" Type="System.String" IsRequired="True" IsHidden="false" DefaultValue="A&amp;B">
    <Values><Value>Inspect</Value><Value>Repair &lt;x&gt;</Value></Values>
    <Validators><StringValidator MinimumLength="1" MaximumLength="20" Regex="^[A-Z]" CustomErrorMessage=""/></Validators>
  </ScriptParameter>
  <ScriptParameter Name="Count" Type="System.Int32" IsRequired="false" IsHidden="true" DefaultValue="5">
    <Validators><IntegerValidator MinimumValue="-1" MaximumValue="10"/></Validators>
  </ScriptParameter>
  <ScriptParameter Name="Force" Type="System.Boolean" IsRequired="false" IsHidden="false" DefaultValue=""/>
</ScriptParameters>`;

const base64 = (text: string, encoding: "utf8" | "utf16le" = "utf8") =>
  Buffer.from(text, encoding).toString("base64");

describe("the definition of a script's parameters", () => {
  test("is read in UTF-8 and UTF-16LE, with and without its mark, in lines or not", () => {
    const expected = [
      expect.objectContaining({ name: "kustoquery", type: "System.String", isRequired: false }),
    ];
    const all = [
      base64(BUILT_IN),
      base64(BUILT_IN, "utf16le"),
      base64(`\uFEFF${BUILT_IN}`, "utf16le"),
      base64(`\uFEFF${BUILT_IN}`),
      base64(BUILT_IN).replace(/(.{76})/g, "$1\r\n"),
    ];
    for (const stored of all) expect(readParamsDefinition(stored)).toEqual(expected);
    expect(readParamsDefinition("")).toEqual([]);
  });

  test("has types, defaults, values and validators", () => {
    expect(readParamsDefinition(base64(RICH))).toEqual([
      {
        ...{ name: "Action", type: "System.String", isRequired: true, isHidden: false },
        ...{ defaultValue: "A&B", values: ["Inspect", "Repair <x>"] },
        ...{ minimum: undefined, maximum: undefined, minLength: 1, maxLength: 20 },
        pattern: "^[A-Z]",
      },
      expect.objectContaining({ name: "Count", isHidden: true, minimum: -1, maximum: 10 }),
      expect.objectContaining({ name: "Force", type: "System.Boolean", values: undefined }),
    ]);
  });

  const parameter = (more: string) =>
    `<ScriptParameters><ScriptParameter ${more}</ScriptParameters>`;
  test.each([
    ["no XML", "hello", "xml-malformed"],
    ["another element", "<Scripts/>", "script-definition"],
    [
      "a type that scripts do not have",
      parameter('Name="A" Type="System.Object"/>'),
      "script-definition",
    ],
    ["no name", parameter('Type="System.String"/>'), "script-definition"],
    ["a name that is none", parameter('Name="a b" Type="System.String"/>'), "script-definition"],
    [
      "a bound that is no number",
      parameter(
        'Name="A" Type="System.Int32"><IntegerValidator MinimumValue="x"/></ScriptParameter>',
      ),
      "script-definition",
    ],
    [
      "one name twice",
      `<ScriptParameters>${'<ScriptParameter Name="A" Type="System.String"/>'.repeat(2)}</ScriptParameters>`,
      "script-definition",
    ],
    ["a declaration of types", `<!DOCTYPE x [<!ENTITY a "b">]>${BUILT_IN}`, "xml-malformed"],
    ["an entity of its own", parameter('Name="&a;" Type="System.String"/>'), "xml-malformed"],
    ["an element that is not closed", "<ScriptParameters>", "xml-malformed"],
    ["something behind its end", "<ScriptParameters/>x", "xml-malformed"],
    [
      "51 parameters",
      `<ScriptParameters>${Array.from({ length: 51 }, (_, at) => `<ScriptParameter Name="P${at}" Type="System.String"/>`).join("")}</ScriptParameters>`,
      "script-definition",
    ],
    [
      "elements too deep",
      `${"<ScriptParameters>".repeat(17)}${"</ScriptParameters>".repeat(17)}`,
      "xml-too-large",
    ],
  ])("with %s is refused", (_, xml, code) => {
    expect(thrownCode(() => readParamsDefinition(base64(xml)))).toBe(code);
  });

  test("that is no base64 is refused", () => {
    for (const stored of ["<ScriptParameters/>", "abc", "ab=c"]) {
      expect(thrownCode(() => storedBytes(stored))).toBe("script-definition");
    }
  });
});
