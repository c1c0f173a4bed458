import { describe, expect, test } from "vitest";
import type { Device } from "../core/device.ts";
import type { TunnelSettings } from "../core/vpn/vpn-service-port.ts";
import { deviceUri, issueTo } from "../testing/test-certificates.ts";
import {
  authority,
  CLIENT,
  type DesiredInput,
  derOf,
  deviceGroup,
  loginRequest,
  SIGNAL,
  startVpn,
  tunnelRequest,
  type VpnUnderTest,
} from "../testing/vpn-under-test.ts";

const d1 = derOf(await issueTo(authority, [deviceUri("d1")]));
const d2 = derOf(await issueTo(authority, [deviceUri("d2")]));

function device(deviceId: string, change: Partial<Device> = {}): Device {
  const user = `${deviceId}@example.com`;
  const known = { deviceId, groups: ["staff"], compliance: "compliant", removed: false } as const;
  return { ...known, userPrincipalName: user, ...change };
}

const policies: DesiredInput["policies"] = [
  {
    name: "p",
    groups: ["staff"],
    rules: [{ name: "web", action: "allow", destinations: [{ cidr: "10.0.0.0/8", ports: [443] }] }],
  },
];
const desired: DesiredInput = { policies, vpn: { groups: [deviceGroup()] } };

async function start(change: Partial<Parameters<typeof startVpn>[0]> = {}): Promise<VpnUnderTest> {
  return startVpn({ desired, devices: [device("d1"), device("d2")], ...change });
}

/** Logs in with a certificate; the cookie. */
async function cookieOf(all: VpnUnderTest, certificate = d1, from?: string): Promise<string> {
  const connection = all.engine.connection([certificate], from);
  const answer = await all.vpn.login.begin(loginRequest(connection), SIGNAL);
  if (answer.kind !== "accepted") throw new Error(JSON.stringify(answer));
  return answer.cookie;
}

/** Connects and attaches as the front does. */
async function tunnelOf(
  all: VpnUnderTest,
  cookie: string,
  change: Parameters<typeof tunnelRequest>[2] = {},
  from?: string,
): Promise<TunnelSettings> {
  const connection = all.engine.connection([], from);
  const answer = await all.vpn.connect(tunnelRequest(connection, cookie, change), SIGNAL);
  if (answer.kind !== "connected") throw new Error(JSON.stringify(answer));
  all.engine.attach(connection.id, answer.tunnel.sessionId, Buffer.from(""), answer.tunnel.dtls);
  return answer.tunnel;
}

async function refusalOf(all: VpnUnderTest, cookie: string) {
  const request = tunnelRequest(all.engine.connection(), cookie);
  const answer = await all.vpn.connect(request, SIGNAL);
  if (answer.kind !== "refused") throw new Error("connected");
  return { status: answer.status, code: answer.refusal.code };
}

describe("a device with a certificate", () => {
  test("gets a session, an address of the pool and the policy of its groups", async () => {
    await using all = await start();
    const tunnel = await tunnelOf(all, await cookieOf(all));
    expect(tunnel.ipv4).toEqual({ address: "10.98.0.2", netmask: "255.255.255.248" });
    expect(tunnel.mtu).toBe(1_400);
    const [session] = all.engine.open.values();
    expect(session).toMatchObject({
      tunnel: 0,
      slot: 2,
      mtu: 1_400,
      hasIpv4: true,
      hasIpv6: false,
    });
    expect(all.engine.policies.get(session?.policy ?? 0)?.length).toBeGreaterThan(0);
    expect(all.told).toEqual(["login d1@example.com", "connected 192.0.2.1"]);
  });

  test("comes back by its cookie to the same session and address, from another address too", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    const first = await tunnelOf(all, cookie);
    const again = await tunnelOf(all, cookie, {}, "203.0.113.9");
    expect([again.sessionId, again.ipv4]).toEqual([first.sessionId, first.ipv4]);
    expect(all.told.at(-1)).toBe("connected 203.0.113.9 again");
    expect(all.engine.open.size).toBe(1);
  });

  test("comes back to its address and netmask after the gateway was killed", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    await tunnelOf(all, await cookieOf(all, d2));
    const before = await tunnelOf(all, cookie);
    await using after = await all.restart();
    const tunnel = await tunnelOf(after, cookie);
    expect(tunnel.ipv4).toEqual(before.ipv4);
    expect(after.parts.sessions.table.size).toBe(2);
  });

  test("is told to come again while no configuration is in force", async () => {
    await using all = await startVpn();
    const request = tunnelRequest(all.engine.connection(), "any");
    expect(await all.vpn.connect(request, SIGNAL)).toMatchObject({ status: 503 });
    const login = await all.vpn.login.begin(loginRequest(all.engine.connection([d1])), SIGNAL);
    expect(login).toMatchObject({ refusal: { code: "login-busy", retryAfterSeconds: 2 } });
  });

  test("is refused with its reason where it is not compliant", async () => {
    const devices = [device("d1", { compliance: "noncompliant", reason: "no disk encryption" })];
    await using all = await start({ devices });
    const request = loginRequest(all.engine.connection([d1]));
    const answer = await all.vpn.login.begin(request, SIGNAL);
    expect(answer).toMatchObject({ kind: "refused", refusal: { code: "device-noncompliant" } });
    expect(JSON.stringify(answer)).toContain("no disk encryption");
  });

  test("has another address than every other device, and its own again after its session ended", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    const one = await tunnelOf(all, cookie);
    const other = await tunnelOf(all, await cookieOf(all, d2));
    expect(one.ipv4?.address).not.toBe(other.ipv4?.address);
    await all.vpn.logout(cookie);
    expect((await tunnelOf(all, await cookieOf(all))).ipv4).toEqual(one.ipv4);
  });
});

describe("a cookie", () => {
  test("that nobody has is refused with 401", async () => {
    await using all = await start();
    expect(await refusalOf(all, "made-up")).toEqual({ status: 401, code: "session-unknown" });
  });

  test("is kept as a hash alone", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    const rows = await all.store.query("SELECT * FROM vpn_session", [], 10);
    expect(JSON.stringify(rows)).not.toContain(cookie);
    expect(cookie).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  test("is worth nothing after logout, even to a gateway that was killed right then", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    await tunnelOf(all, cookie);
    await all.vpn.logout(cookie);
    expect(await refusalOf(all, cookie)).toMatchObject({ status: 401 });
    await using after = await all.restart();
    expect(await refusalOf(after, cookie)).toMatchObject({ status: 401 });
  });

  test("stays good for 15 s when the user disconnects", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    const { sessionId, ipv4 } = await tunnelOf(all, cookie);
    const leave = { kind: "disconnected", sessionId, payload: Buffer.from([0xb0]) } as const;
    all.engine.handler.sessionEvent(leave);
    expect(all.engine.open.size).toBe(0);
    all.clock.advance(14_999);
    all.vpn.sweep();
    const again = await tunnelOf(all, cookie);
    expect(again.ipv4).toEqual(ipv4);
    all.engine.handler.sessionEvent({ ...leave, sessionId: again.sessionId });
    all.clock.advance(15_000);
    all.vpn.sweep();
    expect(await refusalOf(all, cookie)).toMatchObject({ status: 401 });
    expect(all.told.at(-2)).toBe("ended user 0");
  });
});

describe("a session", () => {
  test("waits for its client as long as the group says", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    const { sessionId } = await tunnelOf(all, cookie);
    all.engine.traffic = { bytesUp: 42 };
    all.engine.handler.sessionEvent({ kind: "tls-down", sessionId, reason: "gone" });
    all.clock.advance(3_599_999);
    all.vpn.sweep();
    expect(all.engine.open.size).toBe(1);
    all.clock.advance(1);
    all.vpn.sweep();
    expect(all.engine.closed).toMatchObject([{ sessionId, type: "disconnect" }]);
    expect(all.told.at(-1)).toBe("ended disconnected 42");
    expect(all.parts.pool.used).toBe(0);
  });

  test("ends at its longest time, and when it idles", async () => {
    await using all = await start();
    await tunnelOf(all, await cookieOf(all));
    const idle = await tunnelOf(all, await cookieOf(all, d2));
    all.engine.handler.sessionEvent({ kind: "idle", sessionId: idle.sessionId });
    expect(all.told.at(-1)).toBe("ended idle 0");
    all.clock.advance(86_400_000);
    all.vpn.sweep();
    expect(all.told.at(-1)).toBe("ended session-timeout 0");
  });

  test("that is left waiting makes way for a new login of its device", async () => {
    await using all = await start();
    const { sessionId } = await tunnelOf(all, await cookieOf(all));
    all.engine.handler.sessionEvent({ kind: "tls-down", sessionId, reason: "gone" });
    const tunnel = await tunnelOf(all, await cookieOf(all));
    expect(tunnel.ipv4?.address).toBe("10.98.0.2");
    expect(all.told).toContain("ended replaced 0");
    expect(all.parts.sessions.table.size).toBe(1);
  });

  test("ends for a new one of its device where the user has too many; another device's does not", async () => {
    const one = { policies, vpn: { groups: [deviceGroup({ sessionsPerUser: 1 })] } };
    const shared = { userPrincipalName: "alice@example.com" };
    const devices = [device("d1", shared), device("d2", shared)];
    await using all = await start({ desired: one, devices });
    await tunnelOf(all, await cookieOf(all));
    await tunnelOf(all, await cookieOf(all));
    expect(all.told).toContain("ended replaced 0");
    const request = loginRequest(all.engine.connection([d2]));
    expect(await all.vpn.login.begin(request, SIGNAL)).toMatchObject({
      refusal: { code: "limit-sessions" },
    });
  });

  test("offers DTLS by a key of the TLS connection or by resumption, unless group or gateway have no UDP", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    const psk = await tunnelOf(all, cookie, { dtls: { kind: "psk" } });
    expect(psk.dtls).toMatchObject({ kind: "psk", appId: expect.objectContaining({ length: 32 }) });
    expect(psk.mtu).toBe(1_420);
    const masterSecret = Buffer.alloc(48, 1);
    const wish = { kind: "resumption", masterSecret, cipher: "AES256-GCM-SHA384" } as const;
    const resumption = await tunnelOf(all, cookie, { dtls: wish });
    expect(resumption.dtls).toMatchObject({ ...wish, sessionId: expect.anything() });
    all.configure({ policies, vpn: { groups: [deviceGroup({ udp: false })] } });
    const without = await tunnelOf(all, cookie, { dtls: { kind: "psk" } });
    expect([without.dtls, without.mtu]).toEqual([undefined, 1_400]);
  });

  test("has IPv6 inside where the pool has it and the MTU allows", async () => {
    await using all = await start({ local: { ipv6Network: "fd98::/64" } });
    const cookie = await cookieOf(all);
    expect((await tunnelOf(all, cookie)).ipv6).toEqual({ address: "fd98::2", prefixLength: 65 });
    const narrow = await tunnelOf(all, cookie, { mtu: { tls: 1_279, dtls: 1_300 } });
    expect(narrow.ipv6).toBeUndefined();
    const none = tunnelRequest(all.engine.connection(), cookie, {
      wantsIpv4: false,
      wantsIpv6: false,
    });
    expect(await all.vpn.connect(none, SIGNAL)).toMatchObject({ status: 403 });
  });

  test("of a phone has the longer dead peer detection", async () => {
    await using all = await start();
    const client = { ...CLIENT, platform: "android", isMobile: true };
    const request = { ...loginRequest(all.engine.connection([d1])), client };
    const answer = await all.vpn.login.begin(request, SIGNAL);
    const cookie = answer.kind === "accepted" ? answer.cookie : "";
    expect((await tunnelOf(all, cookie)).dpdSeconds).toBe(1_800);
  });

  test("gets 503 when all addresses are in use", async () => {
    const ids = Array.from({ length: 11 }, (_, n) => `x${n}`);
    await using all = await start({ devices: ids.map((id) => device(id)) });
    const cookies: string[] = [];
    for (const id of ids) {
      cookies.push(await cookieOf(all, derOf(await issueTo(authority, [deviceUri(id)]))));
    }
    for (const cookie of cookies.slice(0, 10)) await tunnelOf(all, cookie);
    expect(await refusalOf(all, cookies[10] ?? "")).toEqual({
      status: 503,
      code: "address-exhausted",
    });
  });
});

describe("what holds is enforced on sessions as on connections of the relay", () => {
  test("a device that is not compliant any more loses its session, with the reason for its user", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    await tunnelOf(all, cookie);
    all.devices.put(device("d1", { compliance: "noncompliant", reason: "no disk encryption" }));
    expect(all.enforcement.devices(["d1"])).toBe(1);
    expect(all.engine.closed[0]?.reason).toContain("no disk encryption");
    expect(all.cuts).toEqual(["device-noncompliant"]);
    expect(await refusalOf(all, cookie)).toMatchObject({ status: 401 });
  });

  test("a session without a connection is ended too", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    all.devices.put(device("d1", { removed: true }));
    all.enforcement.devices(["d1"]);
    expect(await refusalOf(all, cookie)).toMatchObject({ status: 401 });
  });

  test("another group of the device is another policy, and the session stands", async () => {
    await using all = await start();
    await tunnelOf(all, await cookieOf(all));
    const [before] = all.engine.open.values();
    all.devices.put(device("d1", { groups: ["nothing"] }));
    all.enforcement.devices(["d1"]);
    const [session] = all.engine.open.values();
    expect(session?.policy).not.toBe(before?.policy);
    expect(all.engine.policies.get(session?.policy ?? 0)).toHaveLength(0);
    expect(all.engine.policies.get(before?.policy ?? 0)).toHaveLength(0);
    expect(all.parts.leases.size).toBe(1);
  });

  test("other rules are put under the same number, and no session is told", async () => {
    await using all = await start();
    await tunnelOf(all, await cookieOf(all));
    const [session] = all.engine.open.values();
    const before = all.engine.policies.get(session?.policy ?? 0);
    const [policy] = policies ?? [];
    const destinations = [{ cidr: "10.1.0.0/16", ports: [22] }];
    const rules = [{ name: "ssh", action: "allow" as const, destinations }];
    all.configure({ ...desired, policies: [{ name: "p", groups: ["staff"], ...policy, rules }] });
    expect([...all.engine.open.values()]).toEqual([session]);
    expect(all.engine.policies.get(session?.policy ?? 0)).not.toEqual(before);
  });

  test("a group that is gone ends its sessions; a timeout that changed is told to the engine", async () => {
    await using all = await start();
    await tunnelOf(all, await cookieOf(all));
    const timeouts = { dpdSeconds: 30 };
    all.configure({ policies, vpn: { groups: [deviceGroup({ timeouts })] } });
    expect([...all.engine.open.values()]).toMatchObject([{ dpdSeconds: 30 }]);
    all.configure({ policies, vpn: { groups: [deviceGroup({ name: "others" })] } });
    expect(all.cuts).toEqual(["group-unknown"]);
    expect(all.engine.open.size).toBe(0);
  });

  test("a restart ends the sessions of those who may not go on meanwhile", async () => {
    await using all = await start();
    const cookie = await cookieOf(all);
    await tunnelOf(all, cookie);
    await using after = await all.restart();
    after.devices.replace([device("d1", { removed: true })]);
    after.enforcement.all();
    expect(await refusalOf(after, cookie)).toMatchObject({ status: 401 });
  });

  test("a rule that denies a packet is told by its name", async () => {
    await using all = await start();
    const { sessionId } = await tunnelOf(all, await cookieOf(all));
    const packet = { protocol: 6, address: "127.0.0.1", port: 80 };
    const rule = [...Array(100).keys()].find(
      (n) => all.parts.leases.nameOf(n) === "egress/loopback",
    );
    all.engine.handler.sessionEvent({ kind: "denied", sessionId, rule: rule ?? 0, ...packet });
    expect(all.told.at(-1)).toBe("denied egress/loopback 127.0.0.1");
  });

  test("a flow that is let through is told with its rule and what was not told before it", async () => {
    await using all = await start();
    const { sessionId } = await tunnelOf(all, await cookieOf(all));
    const packet = { protocol: 17, address: "10.1.2.3", port: 53, untold: 4 };
    all.engine.handler.sessionEvent({ kind: "allowed", sessionId, rule: 0, ...packet });
    expect(all.told.at(-1)).toBe("allowed default-deny 10.1.2.3 4");
  });

  test("a certificate that its CA answers about is asked about at the login and at every connection", async () => {
    const asked: string[] = [];
    const answers = { status: "good" as "good" | "revoked" };
    const revocation = {
      async ask({ key }: { readonly key: string }) {
        asked.push(key);
        const { status } = answers;
        all.knowledge.putAnswer(key, {
          status,
          nextUpdate: undefined,
          confirmedAt: all.clock.now(),
        });
      },
    };
    await using all = await start({ revocation });
    const cookie = await cookieOf(all);
    expect(asked).toHaveLength(1);
    answers.status = "revoked";
    all.clock.advance(86_400_000 - 1);
    expect(await refusalOf(all, cookie)).toMatchObject({ code: "certificate-revoked" });
    expect(asked).toHaveLength(2);
    expect(all.told.at(-2)).toBe("ended cut certificate-revoked 0");
  });
});
