import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { type AccessLogDetail, accessLog, detailOf, refuseDetail } from "./access-log.ts";
import { UserNames } from "./vpn/user-names.ts";

const WHO = {
  userPrincipalName: "ada@example.com",
  deviceId: "laptop-9",
  remoteAddress: "198.51.100.20",
};
const CLOSED = {
  ...WHO,
  ...{
    connectionId: "c1",
    rule: "office/web",
    end: "cut",
    bytesUp: 7,
    openedAt: 1_700_000_000_000,
  },
  cut: { code: "device-unknown", by: "gate/known-device", message: "laptop-9 is not known" },
  destination: "payroll.example:443",
};

function written(detail: () => AccessLogDetail) {
  const lines: { readonly fields: Readonly<Record<string, unknown>>; readonly event: string }[] =
    [];
  const write = (fields: object, event: string) =>
    void lines.push({ fields: fields as Readonly<Record<string, unknown>>, event });
  const random = { bytes: (count: number) => Buffer.alloc(count, 7) };
  const names = new UserNames(["example.com"]);
  const log = { info: write, warn: write, error: write };
  const keyOfUser = (userName: string) => names.keyOf(userName);
  return { lines, log: accessLog({ log, detail, random, keyOfUser }) };
}

describe("the access log", () => {
  test("says who by default, and where to only where it is asked to", () => {
    let detail: AccessLogDetail = "standard";
    const { lines, log } = written(() => detail);
    log.info(CLOSED, "relay.closed");
    detail = "full";
    log.info(CLOSED, "relay.closed");
    const { destination, ...rest } = CLOSED;
    expect(lines).toEqual([
      { fields: rest, event: "relay.closed" },
      { fields: { ...rest, destination }, event: "relay.closed" },
    ]);
  });

  test("has one pseudonym for each of them at the lowest level, and no words", () => {
    const { lines, log } = written(() => "pseudonymous");
    log.info(CLOSED, "relay.closed");
    log.warn({ kind: "address", key: WHO.remoteAddress, until: 5 }, "vpn.banned");
    log.info({ deviceId: undefined, reason: "laptop-9 is not known", userName: "bob" }, "x");
    const [closed, banned, refused] = lines.map(({ fields }) => fields);
    const pseudonym = expect.stringMatching(/^[\w-]{16}$/);
    expect(closed).toEqual({
      ...{ userPrincipalName: pseudonym, deviceId: pseudonym, remoteAddress: pseudonym },
      ...{ connectionId: "c1", rule: "office/web", end: "cut", bytesUp: 7 },
      openedAt: CLOSED.openedAt,
      cut: { code: "device-unknown", by: "gate/known-device" },
    });
    expect(banned).toEqual({ kind: "address", key: closed?.["remoteAddress"], until: 5 });
    expect(closed?.["deviceId"]).not.toBe(closed?.["remoteAddress"]);
    expect(refused).toEqual({ userName: pseudonym });
  });

  test("has one pseudonym for a user and an address however they are written", () => {
    const { lines, log } = written(() => "pseudonymous");
    const one = ["ada@example.com", "Ada@Example.COM", " ada"];
    for (const userName of one) log.info({ userName }, "vpn.login-refused");
    log.info({ userPrincipalName: "ADA" }, "vpn.login");
    log.warn({ kind: "account", key: "ada" }, "vpn.banned");
    const users = lines.splice(0).flatMap(({ fields: { kind: _, ...who } }) => Object.values(who));
    expect(new Set(users).size).toBe(1);
    const theirs = ["198.51.100.20", "::ffff:198.51.100.20"];
    for (const remoteAddress of theirs) log.info({ remoteAddress }, "vpn.login-refused");
    expect(lines[0]?.fields).toEqual(lines[1]?.fields);
    for (const address of ["2001:db8::1", "2001:DB8::2"]) log.info({ address }, "x");
    log.warn({ kind: "address", key: "2001:db8::/64" }, "vpn.banned");
    const addresses = lines.slice(2).map(({ fields }) => fields["address"] ?? fields["key"]);
    expect(new Set(addresses).size).toBe(1);
  });

  test("has no words of a fault at the lowest level, nor where somebody went below the highest", () => {
    let detail: AccessLogDetail = "pseudonymous";
    const { lines, log } = written(() => detail);
    const fault = "connect EADDRNOTAVAIL\n    at payroll.example of laptop-9";
    const details = { code: "EADDRNOTAVAIL", address: "10.1.2.3", cause: new Error("of ada") };
    const err = Object.assign(new TypeError(fault), details);
    const told = { type: "TypeError", code: "EADDRNOTAVAIL", stack: expect.any(String) };
    log.error({ err }, "vpn.request-failed");
    log.error({ err, destination: CLOSED.destination }, "relay.failed");
    detail = "standard";
    log.error({ err, destination: CLOSED.destination }, "relay.failed");
    for (const { fields } of lines) {
      expect(fields).toEqual({ err: told });
      expect(JSON.stringify(fields)).not.toMatch(/payroll|laptop|10\.1\.2\.3|of ada/);
      expect(JSON.stringify(fields)).toContain("access-log.test.ts");
    }
    log.error({ err }, "vpn.request-failed");
    detail = "full";
    log.error({ err, destination: CLOSED.destination }, "relay.failed");
    expect(lines.slice(-2).map(({ fields }) => fields["err"])).toEqual([err, err]);
  });

  test("has no part of a client's address at the lowest level", () => {
    const { lines, log } = written(() => "pseudonymous");
    log.info({ kind: "handshake", address: "198.51.100.20", port: 40_001 }, "handshake.failed");
    log.info({ sessionId: "s1", tunnel: 0, slot: 12, mtu: 1_400 }, "vpn.connected");
    expect(lines.map(({ fields }) => fields)).toEqual([
      { kind: "handshake", address: expect.stringMatching(/^[\w-]{16}$/) },
      { sessionId: "s1", mtu: 1_400 },
    ]);
  });

  test("says who where nobody asks, and less where the host allows less", () => {
    expect(detailOf(undefined, {})).toBe("standard");
    expect(detailOf(undefined, { most: "full" })).toBe("standard");
    expect(detailOf(undefined, { most: "pseudonymous" })).toBe("pseudonymous");
    expect(detailOf(undefined, { least: "full", most: "full" })).toBe("full");
    expect(detailOf(undefined, { least: "pseudonymous" })).toBe("standard");
    expect(detailOf("full", { most: "full" })).toBe("full");
    expect(() => refuseDetail(undefined, { least: "full", most: "pseudonymous" })).not.toThrow();
  });

  test("says no more than the host allows", () => {
    const refused = (wanted: AccessLogDetail, most: AccessLogDetail | undefined) =>
      thrownCode(() => refuseDetail(wanted, { most }));
    expect(refused("full", "standard")).toBe("guardrail-exceeded");
    expect(refused("standard", "pseudonymous")).toBe("guardrail-exceeded");
    expect(() => refuseDetail("standard", { least: "standard", most: "standard" })).not.toThrow();
    expect(() => refuseDetail("pseudonymous", { most: "full" })).not.toThrow();
    expect(() => refuseDetail("full", {})).not.toThrow();
    expect(thrownCode(() => refuseDetail("pseudonymous", { least: "standard" }))).toBe(
      "guardrail-exceeded",
    );
  });
});
