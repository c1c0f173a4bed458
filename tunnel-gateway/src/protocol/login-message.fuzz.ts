import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes, returnsOrRefuses } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyconnectInit, anyconnectReply, bodyOf, oldForm } from "../testing/vpn-requests.ts";
import { encodeLoginForm } from "./login-form.ts";
import { parseLoginMessage } from "./login-message.ts";
import { childOf, escapeXml, parseXml } from "./xml-element.ts";

const opaque = '<opaque is-for="sg"><aggauth-handle>a</aggauth-handle></opaque>';
const messages = [
  anyconnectInit(),
  anyconnectReply(opaque, "<username>alice</username><password>a&amp;b</password>"),
  oldForm("group_list=staff&username=alice&password=%26"),
].map(bodyOf);

test("hostile messages are read or refused", () => {
  fc.assert(
    fc.property(hostileBytes(messages), (bytes) =>
      returnsOrRefuses(() => parseLoginMessage(bytes)),
    ),
    { numRuns: fuzzRuns(10_000) },
  );
});

test("any text comes back from XML as it was", () => {
  // Carriage returns become line feeds in XML (section 2.11), and control characters have no form in it.
  const text = fc.string({ unit: "grapheme" }).filter((one) => !/[\p{Cc}\ufffe\uffff]/u.test(one));
  fc.assert(
    fc.property(text, (value) => {
      expect(parseXml(Buffer.from(`<a b="c">${escapeXml(value)}</a>`)).text).toBe(value);
    }),
    { numRuns: fuzzRuns(5_000) },
  );
});

test("whatever a form says, it is one form", () => {
  const text = fc.string({ unit: "binary", maxLength: 40 });
  const kind = fc.constantFrom("text" as const, "password" as const, "hidden" as const);
  const field = fc.record({ name: text, label: text, kind, value: text });
  const group = fc.record({ name: text, label: text });
  const form = fc.record({
    opaque: text,
    message: text,
    error: text,
    fields: fc.array(field, { maxLength: 4 }),
    groups: fc.array(group, { minLength: 2, maxLength: 4 }),
    group: text,
  });
  fc.assert(
    fc.property(form, (one) => {
      const auth = childOf(parseXml(Buffer.from(encodeLoginForm(one))), "auth");
      const [shown] = auth?.children.filter(({ name }) => name === "form") ?? [];
      const inputs = shown?.children.filter(({ name }) => name === "input") ?? [];
      expect(inputs.length).toBe(one.fields.length);
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});
