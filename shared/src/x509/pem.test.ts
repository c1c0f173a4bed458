import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { derToPem, pemToDer } from "./pem.ts";

const der = Buffer.alloc(100, 7);
const pem = derToPem(der, "CERTIFICATE");

test("a block comes back, lines are of 64 characters", () => {
  expect(pemToDer(pem, "CERTIFICATE")).toEqual([der]);
  expect(pem.split("\n")[1]).toHaveLength(64);
  expect(pem.endsWith("-----END CERTIFICATE-----\n")).toBe(true);
});

test("several blocks come in order, other labels and text are passed over", () => {
  const other = derToPem(Buffer.from("key"), "PRIVATE KEY");
  const second = derToPem(Buffer.from("two"), "CERTIFICATE");
  const file = `subject=x\r\n${pem.replaceAll("\n", "\r\n")}${other}# comment\n${second}`;
  expect(pemToDer(file, "CERTIFICATE")).toEqual([der, Buffer.from("two")]);
});

describe("refused with x509-pem", () => {
  test.each([
    ["no block", "hello"],
    ["another label", derToPem(der, "X509 CRL")],
    ["no end", pem.replace(/-----END.*/s, "")],
    ["the end of another label", pem.replace("END CERTIFICATE", "END X509 CRL")],
    ["a body that is not base64", pem.replace("BwcH", "Bw*H")],
    ["an empty body", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"],
    ["a body that is cut off", pem.replace("BwcH", "BwH")],
    ["more than 4 MiB", pem + "x".repeat(4_194_305 - pem.length)],
  ])("%s", (_, text) => {
    expect(thrownCode(() => pemToDer(text, "CERTIFICATE"))).toBe("x509-pem");
  });

  test("but not a file of just 4 MiB", () => {
    const text = pem + "x".repeat(4_194_304 - pem.length);
    expect(pemToDer(text, "CERTIFICATE")).toEqual([der]);
  });
});
