import { createHash } from "node:crypto";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { scriptOutput, writeScriptContent } from "./script-content.ts";

const CONTENT = {
  ...{ scriptGuid: "A1B2C3D4-0000-4000-8000-000000000001", version: "3", type: 0 },
  sha256: "ab".repeat(32),
  groupGuid: "0b6d0e5e-8b0a-4f3c-9d0f-7f2f0c1e2a3b",
  hashCase: "lower",
} as const;
const NAME = { name: "Name", type: "System.String", value: "Ada" } as const;

const written = (of: Parameters<typeof writeScriptContent>[0]) =>
  Buffer.from(writeScriptContent(of), "base64").toString("utf8");

test("it is what a real site was seen to take, hash over the parameters in UTF-16LE and all", () => {
  const group = `ParameterGroupGuid="${CONTENT.groupGuid}" ParameterGroupName="PG_${CONTENT.groupGuid}"`;
  const block = `<ScriptParameters><ScriptParameter ${group} ParameterName="Name" ParameterType="System.String" ParameterDataType="System.String" ParameterValue="Ada"/></ScriptParameters>`;
  const hash = createHash("sha256").update(Buffer.from(block, "utf16le")).digest("hex");
  const text = (of: string) =>
    `<ScriptContent ScriptGuid='${CONTENT.scriptGuid}'><ScriptVersion>3</ScriptVersion><ScriptType>0</ScriptType><ScriptHash ScriptHashAlg='SHA256'>${"AB".repeat(32)}</ScriptHash>${block}<ParameterGroupHash ParameterHashAlg='SHA256'>${of}</ParameterGroupHash></ScriptContent>`;
  expect(written({ ...CONTENT, parameters: [NAME] })).toBe(text(hash));
  expect(written({ ...CONTENT, parameters: [NAME], hashCase: "upper" })).toBe(
    text(hash.toUpperCase()),
  );
});

test("without parameters it has an empty list and an empty hash", () => {
  expect(written({ ...CONTENT, parameters: [] })).toContain(
    "<ScriptParameters></ScriptParameters><ParameterGroupHash ParameterHashAlg='SHA256'></ParameterGroupHash>",
  );
});

test("what XML gives a meaning is escaped, what it cannot hold is refused", () => {
  const value = `"/><ScriptParameter ParameterValue='x' & ]]> \u{1F600}`;
  const text = written({ ...CONTENT, parameters: [{ ...NAME, value }] });
  expect(text).toContain(
    'ParameterValue="&quot;/&gt;&lt;ScriptParameter ParameterValue=&apos;x&apos; &amp; ]]&gt; \u{1F600}"/>',
  );
  for (const bad of ["\u0000", "\uD800", "\uFFFE"]) {
    const parameters = [{ ...NAME, value: bad }];
    expect(thrownCode(() => writeScriptContent({ ...CONTENT, parameters }))).toBe("xml-unwritable");
  }
});

test.each([
  ["the inside of a JSON string", '{\\"a\\":\\"\\\\n\\"}', '{"a":"\\n"}'],
  ["a whole JSON string", '"a\\nb"', "a\nb"],
  ["a list of lines", '["a","b"]', "a\nb"],
  ["a list of other things", '[\\"a\\",1]', '["a",1]'],
  ["plain text", "hello", "hello"],
  ["text with a line end of its own", "a\nb", "a\nb"],
  ["a backslash that escapes nothing", "C:\\x", "C:\\x"],
  ["nothing", "", ""],
])("output as %s is read", (_, stored, text) => {
  expect(scriptOutput(stored)).toEqual({ text, isCut: false });
});

test("output of 4,000 characters is taken for cut, also within an escape; one less is not", () => {
  expect(scriptOutput("x".repeat(3_999)).isCut).toBe(false);
  expect(scriptOutput("x".repeat(4_000)).isCut).toBe(true);
  const stored = `${'\\"'.repeat(1_998)}\\u00`;
  expect(scriptOutput(stored)).toEqual({ text: '"'.repeat(1_998), isCut: true });
});
