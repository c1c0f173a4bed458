import { expect, test } from "vitest";
import type { Device } from "../core/device.ts";
import { deviceUri, issueTo } from "../testing/test-certificates.ts";
import {
  authority,
  derOf,
  deviceGroup,
  loginRequest,
  SIGNAL,
  startVpn,
  tunnelRequest,
  type VpnUnderTest,
} from "../testing/vpn-under-test.ts";

const desired = { vpn: { groups: [deviceGroup()] } };
/** The test's pool has ten. */
const ADDRESSES = 10;

function device(deviceId: string): Device {
  const known = { deviceId, groups: ["staff"], compliance: "compliant", removed: false } as const;
  return { ...known, userPrincipalName: `${deviceId}@example.com` };
}

async function cookieOf(all: VpnUnderTest, deviceId: string): Promise<string> {
  const certificate = derOf(await issueTo(authority, [deviceUri(deviceId)]));
  const request = loginRequest(all.engine.connection([certificate]));
  const answer = await all.vpn.login.begin(request, SIGNAL);
  if (answer.kind !== "accepted") throw new Error(JSON.stringify(answer));
  return answer.cookie;
}

async function addressOf(all: VpnUnderTest, cookie: string): Promise<string | undefined> {
  const request = tunnelRequest(all.engine.connection(), cookie);
  const answer = await all.vpn.connect(request, SIGNAL);
  return answer.kind === "connected" ? answer.tunnel.ipv4?.address : answer.refusal.code;
}

test("a login brings the session's address, which a gateway that was killed right then knows", async () => {
  const devices = [device("d1"), device("d2")];
  await using all = await startVpn({ desired, devices });
  const first = await cookieOf(all, "d1");
  const second = await cookieOf(all, "d2");
  const places = all.parts.sessions.table.all().map(({ place }) => place);
  await using after = await all.restart();
  expect(after.parts.sessions.table.all().map(({ place }) => place)).toEqual(
    expect.arrayContaining(places),
  );
  expect(await addressOf(after, second)).not.toBe(await addressOf(after, first));
});

test("a session for which no address was left at its login gets one that is given back by then", async () => {
  const ids = Array.from({ length: ADDRESSES + 1 }, (_, n) => `x${n}`);
  await using all = await startVpn({ desired, devices: ids.map(device) });
  const cookies: string[] = [];
  for (const id of ids) cookies.push(await cookieOf(all, id));
  const [first = ""] = cookies;
  const last = cookies.at(-1) ?? "";
  expect(all.parts.pool.used).toBe(ADDRESSES);
  expect(await addressOf(all, last)).toBe("address-exhausted");
  await all.vpn.logout(first);
  expect(await addressOf(all, last)).toMatch(/^10\.98\./);
  expect(all.parts.pool.used).toBe(ADDRESSES);
});

test("a login ends what its device has waiting, and not the session whose tunnel is being made", async () => {
  await using all = await startVpn({ desired, devices: [device("d1")] });
  const first = await cookieOf(all, "d1");
  const second = await cookieOf(all, "d1");
  expect(await addressOf(all, first)).toBe("session-unknown");
  const address = await addressOf(all, second);
  await cookieOf(all, "d1");
  expect(await addressOf(all, second)).toBe(address);
});
