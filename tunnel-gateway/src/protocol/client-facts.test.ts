import { describe, expect, test } from "vitest";
import { readClientFacts } from "./client-facts.ts";
import { HttpFields } from "./http-head.ts";

const facts = (fields: Record<string, string>, stated = {}) =>
  readClientFacts(new HttpFields(Object.entries(fields)), stated);
const agent = (userAgent: string) => facts({ "User-Agent": userAgent });

test.each([
  ["Open AnyConnect VPN Agent v9.01-3", "openconnect"],
  ["OpenConnect VPN Agent (NetworkManager) v8.20", "openconnect"],
  ["AnyConnect Windows 4.10.07073", "anyconnect"],
  ["Cisco AnyConnect VPN Agent for Windows 4.10.07073", "anyconnect"],
  ["AnyConnect-compatible OpenConnect VPN Agent v9.21", "openconnect"],
  ["Mozilla/5.0", "other"],
  ["", "other"],
])("%j is %s", (userAgent, kind) => {
  expect(agent(userAgent).kind).toBe(kind);
});

test.each([
  ["Open AnyConnect VPN Agent v3.20", true],
  ["Open AnyConnect VPN Agent v2.01", true],
  ["Open AnyConnect VPN Agent v4.00", false],
  ["Open AnyConnect VPN Agent v30.1", false],
])("%s is old: %s", (userAgent, isOld) => {
  expect(agent(userAgent).isOldOpenConnect).toBe(isOld);
});

describe("a phone", () => {
  test.each([
    ["apple-ios", true, true],
    ["android", true, false],
    ["win", false, false],
  ])("is known by its platform: %s", (platform, isMobile, isIos) => {
    const fields = { "X-AnyConnect-Identifier-Platform": platform };
    expect(facts(fields)).toMatchObject({ platform, isMobile, isIos });
    expect(facts({}, { platform })).toMatchObject({ platform, isMobile, isIos });
  });

  test("of Apple's is known by its user agent too", () => {
    const { isIos, isMobile } = agent("Cisco AnyConnect VPN Agent for Apple iPhone 5.0.05207");
    expect([isIos, isMobile]).toEqual([true, true]);
  });
});

test("the XML counts where fields say something else", () => {
  const fields = {
    "X-AnyConnect-Identifier-ClientVersion": "1",
    "X-AnyConnect-Identifier-Device-UniqueID": "a",
  };
  expect(facts(fields, { version: "2" })).toMatchObject({ version: "2", uniqueId: "a" });
});

test("texts are printable and at most 256 characters long, or they are none", () => {
  expect(facts({}, { version: "4.1\x00\u00e4" }).version).toBe("4.1??");
  expect(facts({}, { uniqueId: "a".repeat(256) }).uniqueId).toHaveLength(256);
  expect(facts({}, { uniqueId: "a".repeat(257), deviceType: " " })).toMatchObject({
    uniqueId: undefined,
    deviceType: undefined,
  });
});

describe("the system's browser", () => {
  const fields = (userAgent: string) => ({
    "User-Agent": userAgent,
    "X-AnyConnect-STRAP-DH-Pubkey": "key",
  });
  const stated = { authMethods: ["single-sign-on-v2", "single-sign-on-external-browser"] };

  test("is opened by openconnect, which names a key for the token", () => {
    expect(facts(fields("Open AnyConnect VPN Agent v9.12"), stated)).toMatchObject({
      hasBrowser: true,
      hasExternalBrowser: true,
      browserKey: "key",
    });
  });

  test("is left alone with AnyConnect, which has its own", () => {
    expect(facts(fields("AnyConnect Windows 5.0.1"), stated).browserKey).toBeUndefined();
  });

  test("is left alone where the client does not say that it can open it", () => {
    expect(facts(fields("Open AnyConnect VPN Agent v9.12")).browserKey).toBeUndefined();
  });
});
