import { expect, test } from "vitest";
import { parseKeyCosts } from "./openssl-speed.ts";

const OUTPUT = `+DTP:2048:private:rsa:1
+R1:4728:2048:0.94
+F2:2:2048:5000.000000:80000.000000
+F4:3:256:40000.000000:25000.000000
`;

test("reads operations per second as milliseconds per operation", () => {
  expect(parseKeyCosts(OUTPUT)).toEqual({
    rsaPrivateMs: 0.2,
    rsaPublicMs: 0.0125,
    ecSignMs: 0.025,
  });
});

test("reads seconds per operation, as OpenSSL 1.1.1 printed them", () => {
  const old = OUTPUT.replace("5000.000000:80000.000000", "0.000200:0.000012");
  const { rsaPrivateMs, rsaPublicMs } = parseKeyCosts(old);
  expect(rsaPrivateMs).toBeCloseTo(0.2);
  expect(rsaPublicMs).toBeCloseTo(0.012);
});

test("says what is missing where there is no such line", () => {
  expect(() => parseKeyCosts("")).toThrow("no F2 line for 2048 bits");
});
