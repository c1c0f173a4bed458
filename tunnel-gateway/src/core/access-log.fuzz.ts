import fc from "fast-check";
import { expect, test } from "vitest";
import { fieldsAt } from "./access-log.ts";

const SECRET = "of a person";
const NAMES = ["userPrincipalName", "userName", "deviceId", "remoteAddress", "address", "key"];
const WORDS = ["destination", "reason", "message", "detail", "ipv4", "target"];
const name = fc.constantFrom(...NAMES, ...WORDS);
const text = fc.string().map((some) => `${some}${SECRET}`);
const fault = text.map((words) => Object.assign(new Error(words), { address: words }));
const plain = fc.oneof(fc.integer(), fc.boolean(), fc.constant(null));
const value = fc.oneof(text, fc.array(text), fault, plain);
const fields = fc.dictionary(name, fc.oneof(value, fc.dictionary(name, value)));

test("whatever a line has, its lowest level has no text of a person, and no level but the highest has where to", () => {
  fc.assert(
    fc.property(fields, (line) => {
      const pseudonym = (_name: string, of: string) => `p${of.length}`;
      expect(JSON.stringify(fieldsAt("pseudonymous", line, pseudonym))).not.toContain(SECRET);
      expect(fieldsAt("standard", line, pseudonym)).not.toHaveProperty("destination");
      expect(fieldsAt("full", line, pseudonym)).toEqual(line);
    }),
  );
});
