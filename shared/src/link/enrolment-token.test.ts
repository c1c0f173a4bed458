import { expect, test } from "vitest";
import { formatEnrolmentToken, parseEnrolmentToken } from "./enrolment-token.ts";

const token = { url: "https://cloud.example:8080", secret: "c2VjcmV0", tenantKey: "dGh1bWI" };

test("a token comes out as it was put in, with space around it", () => {
  const whole = { ...token, caSha256: "ab".repeat(32) };
  expect(parseEnrolmentToken(` ${formatEnrolmentToken(whole)}\n`)).toEqual(whole);
});

test.each([
  ["another prefix", formatEnrolmentToken(token).replace("isthmus1", "isthmus2")],
  ["a part that is missing", formatEnrolmentToken(token).slice(0, -20)],
  ["a field that is missing", formatEnrolmentToken({ ...token, tenantKey: "" })],
  ["far too much", `isthmus1.${"a".repeat(9_000)}`],
  ["nothing", ""],
])("%s is refused, and the secret is not in the error", (_what, text) => {
  const error = (() => {
    try {
      parseEnrolmentToken(text);
    } catch (thrown) {
      return thrown as Error & { code: string };
    }
    return undefined;
  })();
  expect(error?.code).toBe("enrolment-token");
  expect(`${error?.message} ${error?.cause}`).not.toContain(token.secret);
});
