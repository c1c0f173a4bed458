import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { type AccessLogDetail, accessLog, detailOf, refuseDetail } from "./access-log.ts";

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
  return { lines, log: accessLog({ info: write, warn: write, error: write }, detail, random) };
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

  test("says who where nobody asks, and less where the host allows less", () => {
    expect(detailOf(undefined, undefined)).toBe("standard");
    expect(detailOf(undefined, "full")).toBe("standard");
    expect(detailOf(undefined, "pseudonymous")).toBe("pseudonymous");
    expect(detailOf("full", "full")).toBe("full");
    expect(() => refuseDetail(undefined, "pseudonymous")).not.toThrow();
  });

  test("says no more than the host allows", () => {
    const refused = (wanted: AccessLogDetail, most: AccessLogDetail | undefined) =>
      thrownCode(() => refuseDetail(wanted, most));
    expect(refused("full", "standard")).toBe("guardrail-exceeded");
    expect(refused("standard", "pseudonymous")).toBe("guardrail-exceeded");
    expect(() => refuseDetail("standard", "standard")).not.toThrow();
    expect(() => refuseDetail("pseudonymous", "full")).not.toThrow();
    expect(() => refuseDetail("full", undefined)).not.toThrow();
  });
});
