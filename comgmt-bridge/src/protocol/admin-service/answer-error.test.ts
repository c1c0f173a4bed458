import { expect, test } from "vitest";
import { type Asked, errorOfAnswer } from "./answer-error.ts";

const errorOf = (status: number, body: unknown = "", asked: Asked = "rows") =>
  errorOfAnswer({
    status,
    asked,
    path: "wmi/SMS_R_System",
    body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
  });

const odata = (type: string) => ({
  error: { code: "", message: "An error.", innererror: { type } },
});
const HTML = "<!DOCTYPE html><html><title>Bad Gateway</title></html>";

test.each<[number, unknown, Asked, string, boolean, RegExp]>([
  [401, "", "rows", "site-unauthorized", false, /renew the token/],
  [403, "", "script", "script-not-approved", false, /approved in the console/],
  [403, "  ", "rows", "site-mfa-demanded", false, /Hierarchy Settings/],
  [403, { error: { message: "No." } }, "rows", "site-forbidden", false, /security role/],
  [400, { error: { message: "Bad." } }, "action", "site-bad-request", false, /extra property/],
  [404, "", "cmpivot-result", "cmpivot-not-ready", true, /ask again/],
  [404, "", "rows", "site-not-found", false, /case-sensitive/],
  [
    500,
    odata("System.Security.SecurityException"),
    "rows",
    "site-security-exception",
    false,
    /UPN/,
  ],
  [500, { ExceptionType: "SecurityException" }, "rows", "site-security-exception", false, /UPN/],
  [500, odata("System.Exception"), "rows", "site-failed", true, /SMSProv.log/],
  [500, odata("System.Exception"), "script", "site-failed", false, /SMSProv.log/],
  [503, "", "action", "site-unavailable", true, /SMS_REST_PROVIDER/],
  [504, "", "action", "site-unavailable", false, /SMS_REST_PROVIDER/],
  [429, "", "action", "site-throttled", true, /requestsPerSecond/],
  [502, HTML, "rows", "site-page", true, /proxy or IIS/],
  [404, HTML, "rows", "site-page", false, /proxy or IIS/],
  [302, "", "rows", "site-redirect", false, /not followed/],
  [418, "", "rows", "site-status", false, /418/],
])("status %i with %j to %s is %s", (status, body, asked, code, isRetryable, words) => {
  const error = errorOf(status, body, asked);
  expect(error).toMatchObject({ code, isRetryable });
  expect(error.message).toMatch(/^wmi\/SMS_R_System: /);
  expect(error.message).toMatch(words);
});

test("the site's words are repeated, short and in one line", () => {
  const { message } = errorOf(400, { error: { message: `first\r\nsecond ${"x".repeat(1_000)}` } });
  expect(message).toContain("(the site says: first second xxx");
  expect(message).not.toMatch(/\p{Cc}/u);
  expect(message.length).toBeLessThan(700);
});

test("words alone, without the exception's name, decide nothing", () => {
  expect(errorOf(500, { error: { message: "SecurityException" } }).code).toBe("site-failed");
});
