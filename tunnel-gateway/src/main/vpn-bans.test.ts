import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import type { LoginAnswer, LoginRequest } from "../core/vpn/vpn-service-port.ts";
import type { GatewayOperations } from "../store/gateway-store.ts";
import { passwords, tokens } from "../testing/fake-authenticators.ts";
import { deviceUri, issueTo } from "../testing/test-certificates.ts";
import {
  authority,
  derOf,
  loginRequest,
  SIGNAL,
  startVpn,
  userGroup,
  type VpnUnderTest,
} from "../testing/vpn-under-test.ts";
import { vpnControls } from "./vpn-controls.ts";
import { banText, nearText } from "./vpn-text.ts";

const HOME = "192.0.2.1";
const ELSEWHERE = "203.0.113.5";
const ALICE = "alice@example.com";
const d1 = derOf(await issueTo(authority, [deviceUri("d1")]));
const ldap = () => passwords("ldap", { [ALICE]: "right" });
const start = () =>
  startVpn({ desired: { vpn: { groups: [userGroup([["ldap"]])] } }, authenticators: [ldap()] });

async function logIn(all: VpnUnderTest, password: string, from: string, certificate?: Buffer) {
  const connection = all.engine.connection(certificate ? [certificate] : [], from);
  const request = loginRequest(connection);
  const form = await all.vpn.login.begin(request, SIGNAL);
  if (!("opaque" in form)) return form.kind;
  const fields = new Map([
    ["username", ALICE],
    ["password", password],
  ]);
  return (await all.vpn.login.answer(form.opaque, fields, request, SIGNAL)).kind;
}

async function answer(
  all: VpnUnderTest,
  question: LoginAnswer,
  fields: Readonly<Record<string, string>>,
  request: LoginRequest,
) {
  if (!("opaque" in question)) throw new Error(JSON.stringify(question));
  return all.vpn.login.answer(question.opaque, new Map(Object.entries(fields)), request, SIGNAL);
}

async function attack(all: VpnUnderTest, from: string, guesses = 8) {
  for (let guess = 0; guess < guesses; guess += 1) await logIn(all, "wrong", from);
}

/** Lets time pass until what has changed is in the store. */
async function saved(all: VpnUnderTest) {
  for (let second = 0; second < 10; second += 1) all.vpn.sweep();
  await all.parts.memory.save();
}

const controlsOf = (all: VpnUnderTest) => vpnControls({ ...all, slices: [], pools: [] } as never);

describe("an attack on an account from elsewhere", () => {
  test("does not lock its user out where he has logged in before", async () => {
    await using all = await start();
    expect(await logIn(all, "right", HOME)).toBe("accepted");
    await attack(all, ELSEWHERE);
    expect(all.told).toContain(`banned account ${ALICE}`);
    expect(await logIn(all, "right", "198.51.100.7")).toBe("refused");
    expect(await logIn(all, "right", HOME)).toBe("accepted");
  });

  test("does not lock out who shows the certificate of an earlier login, wherever he is", async () => {
    await using all = await start();
    const laptop = Buffer.from("the certificate of a laptop");
    expect(await logIn(all, "right", HOME, laptop)).toBe("accepted");
    await attack(all, ELSEWHERE);
    expect(await logIn(all, "right", "198.51.100.7", laptop)).toBe("accepted");
    expect(await logIn(all, "right", "198.51.100.7")).toBe("accepted");
  });

  test("from where its user has logged in is bounded all the same", async () => {
    await using all = await start();
    await logIn(all, "right", HOME);
    await attack(all, HOME);
    expect(all.told.filter((line) => line.startsWith("banned"))).toEqual([
      `banned address ${HOME}`,
      `banned account ${ALICE} at ${HOME}`,
    ]);
    expect(await logIn(all, "right", HOME)).toBe("refused");
    expect(await logIn(all, "right", ELSEWHERE)).toBe("accepted");
  });

  test.each([
    ["a browser", [["ldap"], ["tokens"]], undefined],
    ["a certificate", [["ldap"], ["certificate"]], d1],
  ])(
    "knows no place of his by whoever typed his name and then came in by %s",
    async (_by, authentication, certificate) => {
      const bob = "bob@example.com";
      await using all = await startVpn({
        desired: { vpn: { groups: [userGroup(authentication)] } },
        authenticators: [passwords("ldap", { [bob]: "right" }), tokens],
      });
      const requestOf = (...shown: Buffer[]) =>
        loginRequest(all.engine.connection(shown, ELSEWHERE), { hasNoCertificate: true });
      const guess = async (...shown: Buffer[]) => {
        const form = await all.vpn.login.begin(requestOf(), SIGNAL);
        const fields = { username: bob, password: "wrong" };
        return answer(all, form, fields, requestOf(...shown));
      };
      const next = await guess(...(certificate ? [certificate] : []));
      const last = certificate ? next : await answer(all, next, { sso: "ticket" }, requestOf());
      expect(last.kind).toBe("accepted");
      await guess();
      expect(all.parts.scores.points("account", bob)).toBeCloseTo(20);
    },
  );

  test("leaves the user's places known after the gateway was killed, even right after his login", async () => {
    await using all = await start();
    await logIn(all, "right", HOME);
    const next = await all.restart();
    await attack(next, ELSEWHERE);
    expect(await logIn(next, "right", HOME)).toBe("accepted");
  });
});

describe("bans", () => {
  test("are printed with their points, what is left and when they end", () => {
    const until = Date.UTC(2026, 0, 2, 3, 4, 5);
    expect(banText({ kind: "address", key: HOME, points: 80, until, secondsLeft: 90 })).toBe(
      "address\t192.0.2.1\t80 points\t1 min left\tuntil 2026-01-02T03:04:05.000Z",
    );
  });

  test("are listed beside who is on the way to one, the nearest first, and nobody is in both", async () => {
    await using all = await start();
    await attack(all, ELSEWHERE);
    const fail = (key: string, times: number) => {
      for (let time = 0; time < times; time += 1) all.parts.scores.charge("address", key);
    };
    fail("198.51.100.7", 5);
    fail("198.51.100.8", 6);
    fail("198.51.100.9", 3);
    const listed = await controlsOf(all)["vpn-bans"]?.({});
    const near = (key: string, points: number) => ({
      kind: "address",
      key,
      points,
      banAtPoints: 80,
    });
    expect(listed).toMatchObject({
      ...{ bans: [{ key: ELSEWHERE }, { key: ALICE }], nearTotal: 2 },
      near: [near("198.51.100.8", 60), near("198.51.100.7", 50)],
    });
    expect(nearText(near(HOME, 60))).toBe("address\t192.0.2.1\t60 of 80 points\tnot banned");
  });

  test("outlast a gateway that is killed, and so do points on the way to one", async () => {
    await using all = await start();
    await attack(all, ELSEWHERE);
    await attack(all, "198.51.100.7", 6);
    await saved(all);
    const next = await all.restart();
    expect(next.parts.scores.bans().map(({ key }) => key)).toEqual([ELSEWHERE, ALICE]);
    expect(await logIn(next, "right", HOME)).toBe("refused");
    expect(next.parts.scores.points("address", ELSEWHERE)).toBeCloseTo(80);
  });

  test("are listed and forgiven after a restart, and stay forgiven after another", async () => {
    await using all = await start();
    await attack(all, ELSEWHERE);
    await saved(all);
    const next = await all.restart();
    const controls = controlsOf(next);
    const [address] = next.parts.scores.bans();
    const listed = { kind: "address", key: ELSEWHERE, points: 80, until: address?.until };
    expect(await controls["vpn-bans"]?.({})).toMatchObject({ total: 2, bans: [listed, {}] });
    const clear = async (key: string) => controls["vpn-bans-clear"]?.({ key });
    expect(await clear(ALICE.toUpperCase())).toEqual({ cleared: 1 });
    expect(await clear(ELSEWHERE)).toEqual({ cleared: 1 });
    const last = await next.restart();
    expect(last.parts.scores.bans()).toEqual([]);
    expect(await logIn(last, "right", ELSEWHERE)).toBe("accepted");
  });

  test("of an address are forgiven with what accounts have from there, and from nowhere else", async () => {
    await using all = await start();
    await logIn(all, "right", HOME);
    await attack(all, HOME);
    await attack(all, ELSEWHERE);
    const cleared = await controlsOf(all)["vpn-bans-clear"]?.({ key: HOME });
    expect(cleared).toEqual({ cleared: 2 });
    expect(all.parts.scores.bans().map(({ key }) => key)).toEqual([ELSEWHERE, ALICE]);
    expect(await logIn(all, "right", HOME)).toBe("accepted");
  });

  test("of a flood from ten thousand addresses are few writes", async () => {
    await using all = await start();
    const writes: number[] = [];
    onSave(all, ({ scores }) => writes.push(scores.put.length));
    for (let n = 0; n < 10_000; n += 1) {
      const address = `2001:db8:0:${n}::/64`;
      for (let guess = 0; guess < 8; guess += 1) all.parts.scores.charge("address", address);
    }
    for (let second = 0; second < 9; second += 1) all.vpn.sweep();
    await Promise.resolve();
    expect(writes).toEqual([]);
    all.vpn.sweep();
    await until(() => writes.length === 1);
    expect(writes).toEqual([500]);
  });

  test("are told anew where the store could not take them", async () => {
    await using all = await start();
    let isBroken = true;
    onSave(all, () => {
      if (isBroken) throw new Error("disk is full");
    });
    await attack(all, ELSEWHERE);
    for (let second = 0; second < 10; second += 1) all.vpn.sweep();
    await until(() => all.told.includes("failed store Error: disk is full"));
    isBroken = false;
    await saved(all);
    expect((await all.store.run("listScores")).map(({ key }) => key)).toContain(ALICE);
  });
});

/** Sees what is to be written, and may throw in the store's place. */
function onSave({ store }: VpnUnderTest, see: (changes: Changes) => void): void {
  const run: Run = store.run.bind(store);
  const seeing: Run = async (name, changes) => {
    if (name === "saveScores") see(changes);
    return run(name, changes);
  };
  Object.assign(store, { run: seeing });
}

type Run = (name: "saveScores", changes: Changes) => Promise<void>;
type Changes = Parameters<GatewayOperations["saveScores"]>[1];
