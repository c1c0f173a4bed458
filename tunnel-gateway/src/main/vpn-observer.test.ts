import { expect, test } from "vitest";
import type { Refusal } from "../core/refusal.ts";
import type { VpnSession } from "../core/vpn/vpn-session.ts";
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

test("a flow has a line with its rule and where to, without a port where its protocol has none", () => {
  const { told, log } = observed();
  const metrics = { denied: { inc: () => {} } };
  const kernel = { log } as unknown as GatewayKernel;
  const parts = { kernel, metrics, strangers: log, log };
  const observer = vpnObserver(parts as unknown as Parameters<typeof vpnObserver>[0]);
  const session = { id: "s1", group: "staff" } as unknown as VpnSession;
  const rule = "inside/everything";
  observer.allowed(session, { rule, protocol: 6, address: "10.1.2.3", port: 443 }, 0);
  observer.allowed(session, { rule, protocol: 17, address: "fd00::1", port: 53 }, 7);
  observer.denied(session, { rule, protocol: 58, address: "fd00::1", port: 0 });
  const fields = { sessionId: "s1", group: "staff", rule };
  expect(told).toEqual([
    { event: "vpn.allowed", fields: { ...fields, protocol: 6, destination: "10.1.2.3:443" } },
    {
      event: "vpn.allowed",
      fields: { ...fields, protocol: 17, destination: "[fd00::1]:53", untold: 7 },
    },
    { event: "vpn.denied", fields: { ...fields, protocol: 58, destination: "fd00::1" } },
  ]);
});
