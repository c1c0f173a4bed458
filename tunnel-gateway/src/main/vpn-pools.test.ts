import { describe, expect, test } from "vitest";
import type { Device } from "../core/device.ts";
import { passwords } from "../testing/fake-authenticators.ts";
import { deviceUri, issueTo } from "../testing/test-certificates.ts";
import {
  authority,
  derOf,
  deviceGroup,
  type GroupInput,
  loginRequest,
  SIGNAL,
  startVpn,
  tunnelRequest,
  userGroup,
  type VpnUnderTest,
} from "../testing/vpn-under-test.ts";

const ids = ["d1", "d2", "d3"];
const certificates = await Promise.all(
  ids.map(async (id) => derOf(await issueTo(authority, [deviceUri(id)]))),
);
const devices = ids.map((deviceId): Device => {
  const known = { deviceId, groups: [], compliance: "compliant", removed: false } as const;
  return { ...known, userPrincipalName: `${deviceId}@example.com` };
});
/** Two addresses, and those of the other family. */
const local = {
  network: "10.98.0.0/27",
  ipv6Network: "fd98::/112",
  tunnels: { count: 1 },
  pools: [{ name: "staff", networks: ["10.98.0.8/31"] }],
};

function desired(...groups: GroupInput[]) {
  return { vpn: { groups } };
}
const both = desired(deviceGroup({ pool: "staff" }), deviceGroup({ name: "guests" }));

async function cookieOf(all: VpnUnderTest, index: number, group?: string): Promise<string> {
  const connection = all.engine.connection([certificates[index] ?? Buffer.alloc(0)]);
  const answer = await all.vpn.login.begin(loginRequest(connection, { group }), SIGNAL);
  if (answer.kind !== "accepted") throw new Error(JSON.stringify(answer));
  return answer.cookie;
}

async function answerOf(all: VpnUnderTest, cookie: string) {
  const connection = all.engine.connection([]);
  const answer = await all.vpn.connect(tunnelRequest(connection, cookie), SIGNAL);
  if (answer.kind === "refused") return answer.refusal;
  all.engine.attach(connection.id, answer.tunnel.sessionId, Buffer.from(""), undefined);
  return [answer.tunnel.ipv4?.address, answer.tunnel.ipv6?.address];
}

describe("a group with a pool", () => {
  test("gives its sessions addresses of it in both families, and others none of them", async () => {
    await using all = await startVpn({ local, devices, desired: both });
    expect(await answerOf(all, await cookieOf(all, 0))).toEqual(["10.98.0.8", "fd98::8"]);
    expect(await answerOf(all, await cookieOf(all, 1, "guests"))).toEqual(["10.98.0.2", "fd98::2"]);
  });

  test("says that its pool is full, while other groups go on", async () => {
    await using all = await startVpn({ local, devices, desired: both });
    await answerOf(all, await cookieOf(all, 0));
    await answerOf(all, await cookieOf(all, 1));
    expect(await answerOf(all, await cookieOf(all, 2))).toMatchObject({
      code: "address-exhausted",
      rule: "vpn/pools/staff",
      message: "all addresses of the group's pool staff are in use; try again in a while",
    });
    expect(await answerOf(all, await cookieOf(all, 2, "guests"))).toEqual(["10.98.0.2", "fd98::2"]);
  });

  test("gives a device its address in each group again, also after the gateway was killed", async () => {
    await using all = await startVpn({ local, devices, desired: both });
    const seen = async (gateway: VpnUnderTest, group?: string) => {
      const cookie = await cookieOf(gateway, 1, group);
      const addresses = await answerOf(gateway, cookie);
      await gateway.vpn.logout(cookie);
      return addresses;
    };
    await answerOf(all, await cookieOf(all, 0));
    await answerOf(all, await cookieOf(all, 0, "guests"));
    const first = [await seen(all), await seen(all, "guests")];
    expect(first).toEqual([
      ["10.98.0.9", "fd98::9"],
      ["10.98.0.3", "fd98::3"],
    ]);
    expect([await seen(all), await seen(all, "guests")]).toEqual(first);
    await using after = await all.restart();
    expect([await seen(after), await seen(after, "guests")]).toEqual(first);
  });

  test("keeps a session's address over a restart", async () => {
    await using all = await startVpn({ local, devices, desired: both });
    const cookie = await cookieOf(all, 0);
    const before = await answerOf(all, cookie);
    await using after = await all.restart();
    expect(await answerOf(after, cookie)).toEqual(before);
    expect(after.parts.pool.ofPools()[0]).toMatchObject({ pool: "staff", used: 1 });
  });

  test("that changes gives each session an address of the new one at its next connection", async () => {
    await using all = await startVpn({ local, devices, desired: both });
    const cookie = await cookieOf(all, 0);
    expect(await answerOf(all, cookie)).toEqual(["10.98.0.8", "fd98::8"]);
    all.configure(desired(deviceGroup()));
    const [before] = all.engine.open.values();
    expect(before?.slot).toBe(8);
    expect(await answerOf(all, cookie)).toEqual(["10.98.0.2", "fd98::2"]);
    expect([...all.engine.open.values()].map(({ slot }) => slot)).toEqual([2]);
    expect(all.parts.pool.used).toBe(1);
    expect(all.parts.sessions.table.size).toBe(1);
    await using after = await all.restart();
    after.configure(desired(deviceGroup()));
    expect(await answerOf(after, cookie)).toEqual(["10.98.0.2", "fd98::2"]);
  });
});

describe("a pool of certain users", () => {
  const pools = [{ ...local.pools[0], members: ["cn=staff,dc=example"] }];
  const people = { "ann@example.com": "right" };
  const staff = passwords("staff", people, ["cn=staff,dc=example", "staff"]);
  const others = passwords("others", people, ["guests"]);
  const start = (...groups: GroupInput[]) =>
    startVpn({
      local: { ...local, pools },
      devices: devices.map((device) => ({ ...device, groups: ["cn=staff,dc=example"] })),
      authenticators: [staff, others],
      desired: desired(...groups),
    });
  async function logIn(all: VpnUnderTest) {
    const request = loginRequest(all.engine.connection([]), { hasNoCertificate: true });
    const form = await all.vpn.login.begin(request, SIGNAL);
    if (!("opaque" in form)) throw new Error(JSON.stringify(form));
    const fields = new Map(Object.entries({ username: "ann@example.com", password: "right" }));
    return all.vpn.login.answer(form.opaque, fields, request, SIGNAL);
  }
  const refusal = { code: "group-not-member", rule: "vpn/pools/staff/members" };

  test("takes those of whom an authenticator says that they are, and nobody by a word of the cloud", async () => {
    await using good = await start(userGroup([["staff"]], { pool: "staff" }));
    expect(await logIn(good)).toMatchObject({ kind: "accepted" });
    const cloud = { pool: "staff", policyGroups: ["cn=staff,dc=example"] };
    await using bad = await start(userGroup([["others"]], cloud));
    expect(await logIn(bad)).toMatchObject({ refusal });
    await using device = await start(deviceGroup(cloud));
    const connection = device.engine.connection([certificates[0] ?? Buffer.alloc(0)]);
    const answer = await device.vpn.login.begin(loginRequest(connection), SIGNAL);
    expect(answer).toMatchObject({ refusal });
  });

  test("ends sessions that a configuration would move to it", async () => {
    await using all = await start(userGroup([["others"]]));
    expect(await logIn(all)).toMatchObject({ kind: "accepted" });
    all.configure(desired(userGroup([["others"]], { pool: "staff" })));
    expect(all.cuts).toEqual(["group-not-member"]);
  });
});

describe("the desired configuration", () => {
  test("names pools that the local file has, and one where they have every address", async () => {
    await using all = await startVpn({ local, devices });
    expect(() => all.configure(desired(deviceGroup({ pool: "ghost" })))).toThrow(
      "vpn.groups.0.pool: the local file has no pool ghost with addresses; it has staff",
    );
    const whole = { ...local, pools: [{ name: "staff", networks: ["10.98.0.0/27"] }] };
    await using without = await startVpn({ local: whole, devices });
    expect(() => without.configure(desired(deviceGroup()))).toThrow("name one: staff");
  });
});
