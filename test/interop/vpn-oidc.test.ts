import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { describe, expect, test } from "vitest";
import { ALICE, CLIENT, codeOf, MINUTE_MS, signal, startOidc as start } from "./oidc-under-test.ts";

/** OpenID Connect against a strict provider: tokens that clients bring. */
const KEYS = "/keys";

describe("a token that the client brings", () => {
  test("is taken with name and groups", async () => {
    await using all = await start();
    const user = { userName: "alice@example.com", groups: ["staff"] };
    expect(await all.bring(await all.provider.sign({}))).toEqual({ kind: "accepted", user });
    const typ = { typ: "at+jwt" };
    expect((await all.bring(await all.provider.sign({}, typ))).kind).toBe("accepted");
  });

  const past = Math.floor(Date.now() / 1_000) - 120;
  test.each([
    ["expired", { exp: past }],
    ["without an end", { exp: undefined }],
    ["without a beginning", { iat: undefined }],
    ["not yet good", { nbf: past + 600 }],
    ["for another audience", { aud: "another client" }],
    ["of another issuer", { iss: "https://other.example" }],
  ])("and is %s is refused, and counts", async (_what, claims) => {
    await using all = await start();
    expect(codeOf(await all.bring(await all.provider.sign(claims)))).toBe("token-invalid, counted");
  });

  test("may be for any audience that the configuration lists", async () => {
    await using all = await start({}, { audiences: ["api://vpn"] });
    expect((await all.bring(await all.provider.sign({ aud: "api://vpn" }))).kind).toBe("accepted");
    expect((await all.bring(await all.provider.sign({}))).kind).toBe("refused");
  });

  test("by no key of the provider, without one, or of another type is refused", async () => {
    await using all = await start();
    const { issuer } = all.provider;
    const claims = { ...ALICE, iss: issuer, aud: CLIENT.clientId };
    const { privateKey } = await generateKeyPair("RS256");
    const publicKeys = await (await fetch(`${issuer}${KEYS}`)).text();
    const sign = (alg: string, key: Parameters<SignJWT["sign"]>[0]) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg, kid: "simulator-0" })
        .setIssuedAt()
        .setExpirationTime("5m")
        .sign(key);
    const forged = [
      await sign("RS256", privateKey),
      await sign("HS256", Buffer.from(publicKeys)),
      new UnsecuredJWT(claims).setIssuedAt().setExpirationTime("5m").encode(),
      await all.provider.sign({}, { typ: "logout+jwt" }),
      "no token",
    ];
    for (const token of forged)
      expect(codeOf(await all.bring(token))).toBe("token-invalid, counted");
  });

  test("by a new key is taken, and unknown keys make us ask every 30 seconds at most", async () => {
    await using all = await start();
    await all.bring(await all.provider.sign({}));
    await all.provider.rotateKey();
    all.clock.advance(30_001);
    const token = await all.provider.sign({});
    expect((await all.bring(token)).kind).toBe("accepted");
    expect(all.provider.asked(KEYS)).toBe(2);
    const unknown = await all.provider.sign({}, { kid: "unknown" });
    await Promise.all(Array.from({ length: 50 }, () => all.bring(unknown)));
    all.clock.advance(30_000);
    await all.bring(unknown);
    expect(all.provider.asked(KEYS)).toBe(2);
    all.clock.advance(1);
    await Promise.all(Array.from({ length: 50 }, () => all.bring(unknown)));
    expect(all.provider.asked(KEYS)).toBe(3);
  });

  test("is judged by keys of an hour at most while the provider is down, which is not asked by everybody", async () => {
    await using all = await start();
    await all.bring(await all.provider.sign({}));
    all.provider.isDown = true;
    const bring = async () => {
      const exp = Math.floor(all.clock.now() / 1_000) + 300;
      return codeOf(await all.bring(await all.provider.sign({ exp })));
    };
    all.clock.advance(60 * MINUTE_MS - 1);
    expect(await bring()).toBe("accepted");
    all.clock.advance(1);
    expect(await bring()).toBe("authenticator-unreachable");
    const before = all.provider.asked("/.well-known/openid-configuration");
    await Promise.all(Array.from({ length: 20 }, bring));
    expect(all.provider.asked("/.well-known/openid-configuration")).toBe(before);
    all.provider.isDown = false;
    expect(await bring()).toBe("authenticator-unreachable");
    all.clock.advance(5_000);
    expect(await bring()).toBe("accepted");
  });

  const many = (count: number) => Array.from({ length: count }, (_, at) => `g${at}`);
  test.each([
    ["names nobody", { preferred_username: undefined }, "token-invalid"],
    ["names a control character", { preferred_username: "a\u0000b" }, "token-invalid"],
    ["names 1,000 groups", { groups: many(1_000) }, "accepted"],
    ["names 1,001 groups", { groups: many(1_001) }, "group-not-member"],
    [
      "says that its groups are elsewhere",
      { groups: undefined, _claim_names: { groups: "src1" } },
      "group-not-member",
    ],
    [
      "names an unverified address",
      { email: "alice@example.com", email_verified: false },
      "token-invalid",
    ],
    ["names a verified address", { email: "alice@example.com", email_verified: true }, "accepted"],
  ])("and %s: %s", async (_what, claims, code) => {
    await using all = await start();
    expect(codeOf(await all.bring(await all.provider.sign(claims)))).toBe(code);
  });

  test("names its user by an address only where the provider has verified it", async () => {
    await using all = await start({}, { userNameClaim: "email" });
    const email = "alice@example.com";
    const bring = async (claims: object) =>
      codeOf(await all.bring(await all.provider.sign({ email, ...claims })));
    expect(await bring({})).toBe("token-invalid");
    expect(await bring({ email_verified: false })).toBe("token-invalid");
    expect(await bring({ email_verified: true })).toBe("accepted");
  });
});

test("a provider under another name than the configured one is none", async () => {
  await using all = await start();
  const issuer = all.provider.issuer.replace("127.0.0.1", "localhost");
  await using other = await start({}, { issuer });
  expect(await rejectedCode(() => other.authenticator.check(signal()))).toBe("oidc-metadata");
});
