import { describe, expect, test } from "vitest";
import type { Authenticator } from "../core/authenticator.ts";
import type { LoginAnswer, LoginRequest } from "../core/vpn/vpn-service-port.ts";
import { codes, NAME, PASSWORD, passwords, tokens } from "../testing/fake-authenticators.ts";
import { deviceUri, issueTo } from "../testing/test-certificates.ts";
import {
  authority,
  derOf,
  deviceGroup,
  type GroupInput,
  loginRequest,
  SIGNAL,
  startVpn,
  userGroup,
  type VpnUnderTest,
} from "../testing/vpn-under-test.ts";

const d1 = derOf(await issueTo(authority, [deviceUri("d1")]));
const alice = {
  deviceId: "d1",
  groups: ["staff"],
  compliance: "compliant",
  removed: false,
} as const;
const devices = [{ ...alice, userPrincipalName: "alice@example.com" }];
const ldap = () => passwords("ldap", { "alice@example.com": "right", "bob@example.com": "right" });

async function start(
  groups: GroupInput[],
  authenticators: readonly Authenticator[] = [ldap()],
  more: Parameters<typeof startVpn>[0] = {},
): Promise<VpnUnderTest> {
  return startVpn({ desired: { vpn: { groups } }, authenticators, devices, ...more });
}

/** A client that logs in. */
function client(all: VpnUnderTest, change: Partial<LoginRequest> = {}, from = "192.0.2.1") {
  const shown = change.connection?.certificates ?? [];
  const request = () => loginRequest(all.engine.connection([...shown], from), change);
  return {
    begin: () => all.vpn.login.begin({ ...request(), ...change }, SIGNAL),
    answer: (before: LoginAnswer, fields: Readonly<Record<string, string>>) => {
      if (!("opaque" in before)) throw new Error(JSON.stringify(before));
      const given = new Map(Object.entries(fields));
      return all.vpn.login.answer(before.opaque, given, { ...request(), ...change }, SIGNAL);
    },
  };
}

const RIGHT = { username: "alice@example.com", password: "right" };
const WRONG = { username: "alice@example.com", password: "wrong" };

describe("a login", () => {
  test("asks in one form and accepts what is right", async () => {
    await using all = await start([userGroup([["ldap"]], { banner: "Welcome" })]);
    const { begin, answer } = client(all);
    const form = await begin();
    expect(form).toMatchObject({ kind: "form", fields: [NAME, PASSWORD], group: "staff" });
    expect(await answer(form, RIGHT)).toMatchObject({
      kind: "accepted",
      userName: "alice@example.com",
      group: "staff",
      banner: "Welcome",
    });
  });

  test("asks again after a wrong password, and after three begins anew", async () => {
    await using all = await start([userGroup([["ldap"]])]);
    const { begin, answer } = client(all);
    let form = await begin();
    for (let tries = 1; tries < 3; tries += 1) {
      form = await answer(form, WRONG);
      expect(form).toMatchObject({ kind: "form", error: "the user name or the password is wrong" });
    }
    expect(await answer(form, WRONG)).toMatchObject({
      kind: "refused",
      refusal: { code: "credentials-wrong" },
    });
  });

  test("takes each answer's token once", async () => {
    await using all = await start([userGroup([["ldap"]])]);
    const { begin, answer } = client(all);
    const form = await begin();
    await answer(form, RIGHT);
    expect(await answer(form, RIGHT)).toMatchObject({ kind: "form" });
    expect(all.parts.sessions.table.size).toBe(1);
  });

  test("has to be answered within five minutes", async () => {
    await using all = await start([userGroup([["ldap"]])]);
    const { begin, answer } = client(all);
    const form = await begin();
    all.clock.advance(300_000);
    expect(await answer(form, RIGHT)).toMatchObject({ kind: "form" });
  });

  test("sends a client's browser away and takes the cookie that it comes back with", async () => {
    await using all = await start([userGroup([["tokens"]])], [tokens]);
    const { begin, answer } = client(all);
    const browse = await begin();
    expect(browse).toMatchObject({ kind: "browse", tokenCookie: "sso" });
    expect(await answer(browse, { sso: "ticket" })).toMatchObject({ kind: "accepted" });
  });

  test("asks nothing of a client with a bearer token, wherever its list stands", async () => {
    await using all = await start([userGroup([["ldap"], ["tokens"]])], [ldap(), tokens]);
    const good = client(all, { bearerToken: "good" });
    expect(await good.begin()).toMatchObject({ kind: "accepted" });
    const bad = client(all, { bearerToken: "bad" });
    expect(await bad.begin()).toMatchObject({ refusal: { code: "token-invalid" } });
    expect(all.parts.scores.points("address", "192.0.2.1")).toBeCloseTo(10);
  });

  test.each([
    [[["tokens"]], "token"],
    [[["tokens"], ["ldap"]], "token"],
    [[["certificate"], ["tokens"]], "token"],
    [[["certificate", "tokens"]], "token"],
    [[["ldap"], ["tokens"]], "form"],
    [[["ldap"]], "form"],
    [[["ldap", "tokens"]], "form"],
  ])("of %j begins for whoever can bring a token with a %s", async (authentication, kind) => {
    await using all = await start([userGroup(authentication)], [ldap(), tokens]);
    expect(await client(all, { canBringToken: true }).begin()).toMatchObject({ kind });
    expect(all.parts.scores.points("address", "192.0.2.1")).toBe(0);
  });

  test("asks nobody for a token whose certificate is enough", async () => {
    await using all = await start([userGroup([["certificate"], ["tokens"]])], [tokens]);
    const shown = { connection: all.engine.connection([d1]), canBringToken: true };
    expect(await client(all, shown).begin()).toMatchObject({ kind: "accepted" });
  });
});

describe("all authenticators of a list", () => {
  const list = [["certificate", "ldap"]];
  const showing = (all: VpnUnderTest) => ({ connection: all.engine.connection([d1]) });

  test("are asked for the user whom the certificate names, who has only to know the password", async () => {
    await using all = await start([deviceGroup({ authentication: list })]);
    const { begin, answer } = client(all, showing(all));
    const form = await begin();
    expect(form).toMatchObject({ kind: "form", fields: [PASSWORD] });
    expect(await answer(form, { password: "right" })).toMatchObject({ kind: "accepted" });
  });

  test("are asked one after the other, and the second knows what the first has said", async () => {
    await using all = await start([userGroup([["ldap", "codes"]])], [ldap(), codes]);
    const { begin, answer } = client(all);
    const second = await answer(await begin(), RIGHT);
    expect(second).toMatchObject({ kind: "form", message: "Enter the code." });
    expect(await answer(second, { otp: "123456" })).toMatchObject({ kind: "accepted" });
  });

  test("a user whom the second names otherwise is refused, and it counts", async () => {
    const other: Authenticator = {
      ...codes,
      name: "other",
      begin: async () => ({
        kind: "accepted",
        user: { userName: "Mallory@example.com", groups: [] },
      }),
    };
    await using all = await start([userGroup([["ldap", "other"]])], [ldap(), other]);
    const { begin, answer } = client(all);
    const again = await answer(await begin(), RIGHT);
    expect(again).toMatchObject({ kind: "form", error: expect.stringContaining("not the one") });
    expect(all.told).toContain("login-refused user-mismatch attempt");
  });

  test.each([
    [["example.com"], "accepted"],
    [[], "form"],
  ])(
    "a name without a domain is the same user where %o may be left out: %s",
    async (userNameDomains, kind) => {
      const short = passwords("short", { alice: "right" });
      const asking: Authenticator = {
        ...short,
        answer: (state, answers, context, signal) =>
          short.answer(state, answers, { ...context, userName: "alice" }, signal),
      };
      const more = { local: { userNameDomains } };
      await using all = await start(
        [deviceGroup({ authentication: [["certificate", "short"]] })],
        [asking],
        more,
      );
      const { begin, answer } = client(all, showing(all));
      expect((await answer(await begin(), { password: "right" })).kind).toBe(kind);
    },
  );

  test("the certificate need not be shown on every connection, but no other may", async () => {
    await using all = await start([deviceGroup({ authentication: list })]);
    const form = await client(all, showing(all)).begin();
    const other = derOf(await issueTo(authority, [deviceUri("d2")]));
    const stranger = client(all, { connection: all.engine.connection([other]) });
    expect(await stranger.answer(form, { password: "right" })).toMatchObject({ kind: "refused" });
    const again = await client(all, showing(all)).begin();
    expect(await client(all).answer(again, { password: "right" })).toMatchObject({
      kind: "accepted",
    });
  });
});

describe("any list of a group", () => {
  test("is enough: the certificate where there is one, a password where not", async () => {
    await using all = await start([userGroup([["ldap"], ["certificate"]])]);
    const shown = client(all, { connection: all.engine.connection([d1]) });
    expect(await shown.begin()).toMatchObject({ kind: "accepted", userName: "alice@example.com" });
    expect(await client(all).begin()).toMatchObject({ kind: "form" });
  });

  test("a client is asked once for its certificate, and says that it has none", async () => {
    await using all = await start([userGroup([["certificate"], ["ldap"]])]);
    const { begin, answer } = client(all, { hasNoCertificate: false });
    const wanted = await begin();
    expect(wanted.kind).toBe("certificate");
    expect(await answer(wanted, {})).toMatchObject({ kind: "form" });
  });

  test("the same answer is tried on the next list, and counts once where none takes it", async () => {
    const emergency = passwords("emergency", { root: "glass" });
    await using all = await start([userGroup([["ldap"], ["emergency"]])], [ldap(), emergency]);
    const { begin, answer } = client(all);
    const broken = await answer(await begin(), { username: "root", password: "glass" });
    expect(broken).toMatchObject({ kind: "accepted", userName: "root" });
    expect(all.parts.scores.points("address", "192.0.2.1")).toBe(0);
    await answer(await begin(), WRONG);
    expect(all.parts.scores.points("address", "192.0.2.1")).toBeCloseTo(10);
  });

  test("an authenticator that is down costs its users nothing, and says so", async () => {
    const down = ldap();
    down.isDown = true;
    await using all = await start([userGroup([["ldap"]])], [down]);
    const { begin, answer } = client(all);
    expect(await answer(await begin(), RIGHT)).toMatchObject({
      refusal: { code: "authenticator-unreachable" },
    });
    expect(all.parts.scores.points("account", "alice@example.com")).toBe(0);
  });
});

describe("groups", () => {
  const groups = [
    userGroup([["ldap"]], { name: "staff", label: "Staff" }),
    userGroup([["ldap"]], { name: "admins", members: ["it"] }),
  ];

  test("are chosen by name or label; the first is the default, and what nobody knows is too", async () => {
    await using all = await start(groups);
    const groupOf = async (group?: string) => {
      const answer = await client(all, { group }).begin();
      return "group" in answer ? answer.group : undefined;
    };
    expect(await groupOf()).toBe("staff");
    expect(await groupOf("ADMINS")).toBe("admins");
    expect(await groupOf("staff")).toBe("staff");
    expect(await groupOf("nothing")).toBe("staff");
  });

  test("are shown to choose from, and another choice begins there anew", async () => {
    await using all = await start(groups);
    const form = await client(all).begin();
    expect(form).toMatchObject({ groups: [{ name: "staff", label: "Staff" }, { name: "admins" }] });
    expect(await client(all, { group: "admins" }).answer(form, RIGHT)).toMatchObject({
      kind: "form",
      group: "admins",
    });
  });

  test("are for their members, as the authenticator or the device's state names them", async () => {
    await using all = await start(groups);
    const admin = client(all, { group: "admins" });
    expect(await admin.answer(await admin.begin(), RIGHT)).toMatchObject({
      refusal: { code: "group-not-member" },
    });
    const vouched = passwords("ldap", { "alice@example.com": "right" }, ["it"]);
    await using others = await start(groups, [vouched]);
    const member = client(others, { group: "admins" });
    expect(await member.answer(await member.begin(), RIGHT)).toMatchObject({ kind: "accepted" });
  });
});

test("a login under way begins anew where the lists of its group have changed, and passes none of them by", async () => {
  const both = [ldap(), codes, passwords("strict", {})];
  await using all = await start([userGroup([["ldap", "codes"]])], both);
  const { begin, answer } = client(all);
  const second = await answer(await begin(), RIGHT);
  expect(second).toMatchObject({ fields: [{ name: "otp" }] });
  all.configure({ vpn: { groups: [userGroup([["strict", "codes"]])] } });
  expect(await answer(second, { otp: "123456" })).toMatchObject({ fields: [NAME, PASSWORD] });
});

describe("who guesses", () => {
  test("is banned, hears the words of a wrong password, and when to come again", async () => {
    await using all = await start([userGroup([["ldap"]])]);
    const { begin, answer } = client(all);
    for (let guess = 0; guess < 8; guess += 1) await answer(await begin(), WRONG);
    expect(all.told.filter((line) => line.startsWith("banned"))).toEqual([
      "banned address 192.0.2.1",
      "banned account alice@example.com",
    ]);
    const banned = await begin();
    expect(banned).toMatchObject({
      kind: "refused",
      refusal: {
        code: "credentials-wrong",
        message: "the user name or the password is wrong",
        retryAfterSeconds: 1_200,
      },
    });
  });

  test("many at once gains nothing: a guess costs before it is made", async () => {
    await using all = await start([userGroup([["ldap"]])]);
    const { begin, answer } = client(all);
    const forms = await Promise.all(Array.from({ length: 20 }, () => begin()));
    const answers = await Promise.all(forms.map((form) => answer(form, WRONG)));
    const unheard = answers.filter(
      (one) => one.kind === "refused" && one.refusal.retryAfterSeconds,
    );
    expect(unheard.length).toBeGreaterThanOrEqual(12);
  });

  test("from another address finds the account banned, and others do not", async () => {
    await using all = await start([userGroup([["ldap"]])]);
    const guesser = client(all);
    for (let guess = 0; guess < 8; guess += 1) await guesser.answer(await guesser.begin(), WRONG);
    const elsewhere = client(all, {}, "203.0.113.5");
    expect(await elsewhere.answer(await elsewhere.begin(), RIGHT)).toMatchObject({
      kind: "refused",
    });
    const bob = { username: "bob@example.com", password: "right" };
    expect(await elsewhere.answer(await elsewhere.begin(), bob)).toMatchObject({
      kind: "accepted",
    });
  });

  test("keeps nobody behind the same address from a list that asks for a certificate alone", async () => {
    await using all = await start([userGroup([["ldap"], ["certificate"]])]);
    const guesser = client(all);
    for (let guess = 0; guess < 8; guess += 1) await guesser.answer(await guesser.begin(), WRONG);
    const holder = client(all, { connection: all.engine.connection([d1]) });
    expect(await holder.begin()).toMatchObject({ kind: "accepted", userName: RIGHT.username });
    const silent = client(all, { hasNoCertificate: false });
    const asked = await silent.begin();
    expect(asked.kind).toBe("certificate");
    expect(await holder.answer(asked, {})).toMatchObject({ kind: "accepted" });
    // Without one he hears the ban, and is asked no second time.
    const refusal = { code: "credentials-wrong", retryAfterSeconds: 1_200 };
    expect(await silent.answer(await silent.begin(), {})).toMatchObject({ refusal });
    all.configure({ vpn: { groups: [userGroup([["certificate", "ldap"]])] } });
    expect(await holder.begin()).toMatchObject({ kind: "refused", refusal });
    all.configure({ vpn: { groups: [userGroup([["certificate"]])] } });
    expect(await holder.begin()).toMatchObject({ kind: "accepted" });
    const none = client(all, { hasNoCertificate: true });
    expect(await none.begin()).toMatchObject({ refusal: { code: "certificate-missing" } });
  });
});

test("of what a client answers, only what was asked for is given to authenticators and kept", async () => {
  const seen: string[][] = [];
  const people = ldap();
  const noting: Authenticator = {
    ...people,
    answer: (state, answers, context, signal) => {
      seen.push([...answers.keys()]);
      return people.answer(state, answers, context, signal);
    },
  };
  await using all = await start([userGroup([["ldap", "codes"]])], [noting, codes]);
  const { begin, answer } = client(all);
  const second = await answer(await begin(), { ...RIGHT, more: "x".repeat(60_000) });
  expect(seen).toEqual([["username", "password"]]);
  if (!("opaque" in second)) throw new Error(JSON.stringify(second));
  const kept = all.parts.pending.take(second.opaque)?.progress.answers;
  expect([...(kept?.keys() ?? [])]).toEqual(["username", "password"]);
});
