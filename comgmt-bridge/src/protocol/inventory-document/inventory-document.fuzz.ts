import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseInventoryDocument } from "./inventory-document.ts";

const XML = Buffer.from(
  '<?xml version="1.0" encoding="UTF-8" ?><REQUEST><CONTENT><HARDWARE><NAME>a &amp; b</NAME></HARDWARE>' +
    "<DRIVES><TYPE>/</TYPE></DRIVES><DRIVES/></CONTENT><DEVICEID>pc-1</DEVICEID><QUERY>INVENTORY</QUERY></REQUEST>",
);
const JSON_TEXT = Buffer.from(
  '{"action":"inventory","deviceid":"pc-1","content":{"hardware":{"name":"a","memory":1},"drives":[{"type":"/"}]}}',
);
const TAGS = [
  "<",
  ">",
  "</",
  "<!--",
  "-->",
  "<![CDATA[",
  "]]>",
  "<!DOCTYPE",
  "&#x0;",
  "<?xml",
  "<REQUEST>",
];

function readOrRefused(bytes: Uint8Array): void {
  try {
    const { sections, deviceId } = parseInventoryDocument(bytes);
    expect(deviceId.length).toBeGreaterThan(0);
    const text = JSON.stringify([...sections]);
    expect(JSON.stringify(JSON.parse(text))).toBe(text);
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
  }
}

test.each([
  ["XML", XML],
  ["JSON", JSON_TEXT],
])("%s is read or refused, whatever became of its bytes", (_, valid) => {
  const put = fc.oneof(
    fc.uint8Array({ maxLength: 8 }),
    fc.constantFrom(...TAGS).map((tag) => Buffer.from(tag)),
  );
  const mutated = fc
    .tuple(fc.nat(valid.length), put, fc.nat(20))
    .map(([at, bytes, removed]) =>
      Buffer.concat([valid.subarray(0, at), bytes, valid.subarray(at + removed)]),
    );
  fc.assert(fc.property(mutated, readOrRefused), { numRuns: fuzzRuns(1_000) });
});

test("any JSON is read or refused", () => {
  const content = fc.object({ maxDepth: 4, withNullPrototype: false });
  const whole = content.map((value) =>
    Buffer.from(JSON.stringify({ action: "inventory", deviceid: "a", content: value })),
  );
  fc.assert(fc.property(whole, readOrRefused), { numRuns: fuzzRuns(1_000) });
});

test("any tags are read or refused", () => {
  const name = fc.constantFrom("REQUEST", "CONTENT", "A", "__proto__", "constructor", "toString");
  const { tree } = fc.letrec<{ tree: string }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      fc.string({ maxLength: 10 }),
      fc
        .tuple(name, fc.array(tie("tree"), { maxLength: 4 }))
        .map(([tag, parts]) => `<${tag}>${parts.join("")}</${tag}>`),
    ),
  }));
  const whole = tree.map((text) =>
    Buffer.from(
      `<REQUEST><CONTENT>${text}</CONTENT><DEVICEID>a</DEVICEID><QUERY>INVENTORY</QUERY></REQUEST>`,
    ),
  );
  fc.assert(fc.property(whole, readOrRefused), { numRuns: fuzzRuns(1_000) });
});
