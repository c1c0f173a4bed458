import { until } from "@isthmus/shared/testing/until";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { engineConnection } from "../testing/fake-vpn-connections.ts";
import { tunnelSettings } from "../testing/fake-vpn-service.ts";
import { VpnFrontUnderTest } from "../testing/vpn-front-under-test.ts";
import { anyconnectTunnel, mobileTunnel, openconnectTunnel } from "../testing/vpn-requests.ts";

let under: VpnFrontUnderTest;
let engine: VpnFrontUnderTest["engine"];
let service: VpnFrontUnderTest["service"];
let front: VpnFrontUnderTest["front"];

beforeEach(() => {
  under = new VpnFrontUnderTest();
  ({ engine, service, front } = under);
});

afterEach(() => under[Symbol.dispose]());

describe("a tunnel", () => {
  test("of openconnect 9.01 is attached with its head and its way to DTLS", async () => {
    const dtls = { kind: "psk", appId: Buffer.alloc(32, 0xab) } as const;
    service.onConnect = { kind: "connected", tunnel: { ...tunnelSettings, dtls } };
    front.opened(engineConnection());
    front.bytes(1, openconnectTunnel("t0k"));
    await until(() => engine.attached.length === 1);
    const [attached] = engine.attached;
    expect(attached).toMatchObject({ id: 1, sessionId: 7, dtls });
    expect(attached?.head).toMatch(/^HTTP\/1\.1 200 CONNECTED\r\n[\s\S]*\r\n\r\n$/);
    expect(attached?.head).toContain("X-CSTP-Hostname: laptop\r\n");
    expect(attached?.head).toContain("X-DTLS-Port: 4433\r\n");
    expect(attached?.head).toContain("X-CSTP-Base-MTU: 1500\r\nX-CSTP-MTU: 1434\r\n");
    expect(service.connects[0]).toMatchObject({
      cookie: "t0k",
      hostName: "laptop",
      wantsIpv4: true,
      wantsIpv6: true,
      mtu: { tls: 1_472, dtls: 1_434 },
      dtls: { kind: "psk" },
    });
    expect(front.open).toBe(0);
  });

  test("of AnyConnect 4.10 resumes under its own secret", async () => {
    front.opened(engineConnection());
    front.bytes(1, anyconnectTunnel("t0k"));
    await until(() => engine.attached.length === 1);
    expect(service.connects[0]).toMatchObject({
      client: { kind: "anyconnect", platform: "win", uniqueId: "6D6F64656C" },
      dtls: { kind: "resumption", cipher: "AES128-GCM-SHA256" },
    });
  });

  const secretOf = async () => {
    await until(() => service.connects.length === 1);
    const dtls = service.connects[0]?.dtls;
    if (dtls?.kind !== "resumption") throw new Error("no resumption was asked for");
    return dtls.masterSecret as Buffer;
  };
  const WIPED = new Uint8Array(48);

  test("leaves nothing of its secret once the engine has it", async () => {
    let given: Buffer | undefined;
    service.onConnect = ({ dtls }) => {
      if (dtls?.kind !== "resumption") throw new Error("no resumption was asked for");
      given = Buffer.from(dtls.masterSecret);
      const offer = { ...dtls, sessionId: new Uint8Array(32) };
      return { kind: "connected", tunnel: { ...tunnelSettings, dtls: offer } };
    };
    front.opened(engineConnection());
    front.bytes(1, anyconnectTunnel("t0k"));
    await until(() => engine.attached.length === 1);
    expect(given?.every((byte) => byte === 0)).toBe(false);
    expect(engine.attached[0]?.dtls).toMatchObject({ masterSecret: given });
    expect(Uint8Array.from(await secretOf())).toEqual(WIPED);
  });

  test.each([
    [
      "is refused",
      {
        kind: "refused",
        status: 401,
        refusal: { code: "address-exhausted", rule: "none", message: "no" },
      },
    ],
    ["has no DTLS", { kind: "connected", tunnel: { ...tunnelSettings, dtls: undefined } }],
  ] as const)("leaves nothing of its secret where it %s", async (_, answer) => {
    service.onConnect = answer;
    front.opened(engineConnection());
    front.bytes(1, anyconnectTunnel("t0k"));
    const secret = await secretOf();
    await until(() => secret.equals(WIPED));
    expect(Uint8Array.from(secret)).toEqual(WIPED);
  });

  test.each(["apple-ios", "android"] as const)(
    "of a phone is one of a phone: %s",
    async (platform) => {
      front.opened(engineConnection({ remoteAddress: "2001:db8::7" }));
      front.bytes(1, mobileTunnel(platform, "t0k"));
      await until(() => engine.attached.length === 1);
      expect(service.connects[0]).toMatchObject({
        client: { isMobile: true, platform },
        mtu: { tls: 1_452, dtls: 1_414 },
      });
    },
  );

  test("has no word of DTLS where no UDP port is open", async () => {
    under.udpPort = undefined;
    const dtls = { kind: "psk", appId: Buffer.alloc(32) } as const;
    service.onConnect = { kind: "connected", tunnel: { ...tunnelSettings, dtls } };
    front.opened(engineConnection());
    front.bytes(1, openconnectTunnel());
    await until(() => engine.attached.length === 1);
    expect(service.connects[0]?.dtls).toBeUndefined();
    expect(engine.attached[0]?.dtls).toBeUndefined();
    expect(engine.attached[0]?.head).not.toContain("DTLS");
  });

  test("wants a cookie", async () => {
    const bare = openconnectTunnel()
      .toString()
      .replace(/Cookie: .*\r\n/, "");
    expect((await under.ask(Buffer.from(bare))).status).toBe(401);
    expect(service.connects).toEqual([]);
  });

  test.each([401, 403, 503] as const)("is refused with %i and its reason", async (status) => {
    const refusal = {
      code: "address-exhausted",
      rule: "network",
      message: "no address is left",
    } as const;
    service.onConnect = { kind: "refused", status, refusal };
    const answer = await under.ask(openconnectTunnel());
    expect(answer.status).toBe(status);
    expect(answer.head).toContain("\r\nX-Reason: no address is left\r\n");
    expect(engine.attached).toEqual([]);
  });

  test("is not attached to a connection that has gone", async () => {
    front.opened(engineConnection());
    front.bytes(1, openconnectTunnel());
    front.closed(1, false);
    await until(() => service.connects.length === 1);
    await new Promise(setImmediate);
    expect(engine.attached).toEqual([]);
  });
});
