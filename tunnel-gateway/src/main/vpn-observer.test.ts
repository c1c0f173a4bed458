import { expect, test } from "vitest";
import type { Refusal } from "../core/refusal.ts";
import type { GatewayKernel } from "./gateway-kernel.ts";
import { vpnObserver } from "./vpn-observer.ts";

const UNKNOWN: Refusal = {
  code: "device-unknown",
  rule: "gate/known-device",
  message: "device laptop-9 is not known",
};

function observed() {
  const told: { readonly fields: object; readonly event: string }[] = [];
  const log = { info: (fields: object, event: string) => void told.push({ fields, event }) };
  return { told, log };
}

test("a refused login is logged with the words that the client was told, which name the device", () => {
  const { told, log } = observed();
  const metrics = { logins: { inc: () => {} }, connects: { inc: () => {} } };
  const kernel = { log } as unknown as GatewayKernel;
  const parts = { kernel, metrics, strangers: log, log };
  const observer = vpnObserver(parts as unknown as Parameters<typeof vpnObserver>[0]);
  const remoteAddress = "198.51.100.20";
  observer.loginRefused({
    ...{ refusal: UNKNOWN, group: "staff", userName: undefined, remoteAddress },
    ...{ isAttempt: false, isBanned: false },
  });
  observer.connectRefused(UNKNOWN, undefined, remoteAddress);
  const fields = { code: UNKNOWN.code, rule: UNKNOWN.rule, reason: UNKNOWN.message, remoteAddress };
  expect(told).toMatchObject([
    { event: "vpn.login-refused", fields },
    { event: "vpn.connect-refused", fields },
  ]);
});
