import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import {
  anyconnectInit,
  anyconnectReply,
  bodyOf,
  oldForm,
  openconnectInit,
  openconnectReply,
} from "../testing/vpn-requests.ts";
import { groupOfPath, parseLoginMessage } from "./login-message.ts";

const read = (request: Buffer) => parseLoginMessage(bodyOf(request));
const code = (body: string) => thrownCode(() => parseLoginMessage(Buffer.from(body)));
const opaque =
  '<opaque is-for="sg"><tunnel-group>staff</tunnel-group><aggauth-handle>h4ndle</aggauth-handle></opaque>';
const reply = (more: string) => `<config-auth type="auth-reply">${more}</config-auth>`;

test("openconnect 9.01 begins", () => {
  expect(read(openconnectInit())).toMatchObject({
    kind: "init",
    group: undefined,
    hasNoCertificate: false,
    client: { version: "v9.01-3", platform: "linux-64", authMethods: ["single-sign-on-v2"] },
  });
});

test("AnyConnect 4.10 begins, and says what device it runs on", () => {
  expect(read(anyconnectInit())).toMatchObject({
    kind: "init",
    client: {
      version: "4.10.07073",
      platform: "win",
      deviceType: "innotek GmbH VirtualBox",
      platformVersion: "10.0.19045 ",
      uniqueId: "6D6F64656C",
      authMethods: ["multiple-cert", "single-sign-on", "single-sign-on-v2"],
    },
  });
});

describe("a group", () => {
  test("is named by the path of the URL", () => {
    expect(read(openconnectInit("/staff"))).toMatchObject({ group: "staff" });
  });

  test("is rather the one that was selected", () => {
    const selected = "<group-select>Staff &amp; guests</group-select>";
    expect(read(openconnectInit("/other", selected))).toMatchObject({ group: "Staff & guests" });
  });

  test.each(["/", "/auth", "/VPN", "/a/b", "/+CSCOT+", "/.."])("is not named by %s", (path) => {
    expect(groupOfPath(path)).toBeUndefined();
  });

  test("is nothing where its URL is none", () => {
    const body = '<config-auth type="init"><group-access>vpn</group-access></config-auth>';
    expect(parseLoginMessage(Buffer.from(body))).toMatchObject({ group: undefined });
  });

  test("has at most 256 characters", () => {
    const of = (length: number) =>
      code(reply(`<group-select>${"a".repeat(length)}</group-select>`));
    expect([of(255), of(256), of(257)]).toEqual(["nothing", "nothing", "login-malformed"]);
  });
});

test("a client without a certificate says so", () => {
  expect(read(openconnectInit("/", "<client-cert-fail/>"))).toMatchObject({
    hasNoCertificate: true,
  });
});

describe("an answer", () => {
  test("of openconnect has its fields and what it was an answer to", () => {
    const auth = "<username>alice</username><password> p&amp;w </password>";
    const more = "<group-select>staff</group-select>";
    const message = read(openconnectReply(opaque, auth, more));
    expect(message).toMatchObject({ kind: "reply", opaque: "h4ndle", group: "staff" });
    expect(message.kind === "reply" && [...message.fields]).toEqual([
      ["username", "alice"],
      ["password", " p&w "],
    ]);
  });

  test("of AnyConnect is read alike", () => {
    const message = read(anyconnectReply(opaque, "<password>123456</password>"));
    expect(message).toMatchObject({ kind: "reply", opaque: "h4ndle", client: { platform: "win" } });
  });

  test("comes back under the names of the form, though it crossed the wire under others", () => {
    const names = '<field-name on-wire="password">otp</field-name>';
    const named = opaque.replace("</opaque>", `${names}</opaque>`);
    const message = read(anyconnectReply(named, "<password>123456</password>"));
    expect(message.kind === "reply" && message.fields.get("otp")).toBe("123456");
  });

  test("without opaque leaves it to a cookie where the login stands", () => {
    expect(read(openconnectReply("", "<password>a</password>"))).toMatchObject({
      opaque: undefined,
    });
  });

  test("may have 32 fields", () => {
    const fields = (count: number) =>
      code(reply(`<auth>${Array.from({ length: count }, (_, n) => `<a${n}/>`).join("")}</auth>`));
    expect([fields(31), fields(32), fields(33)]).toEqual(["nothing", "nothing", "login-fields"]);
  });

  test("may have fields of 8,192 characters", () => {
    const of = (length: number) => code(`password=${"a".repeat(length)}`);
    expect([of(8_191), of(8_192), of(8_193)]).toEqual(["nothing", "nothing", "login-value-size"]);
  });

  test("may have a handle of 512 characters", () => {
    const of = (length: number) =>
      code(reply(`<opaque><aggauth-handle>${"a".repeat(length)}</aggauth-handle></opaque>`));
    expect([of(511), of(512), of(513)]).toEqual(["nothing", "nothing", "login-malformed"]);
  });
});

describe("a form of an old client", () => {
  test("has its fields and its group", () => {
    const message = read(
      oldForm("group%5flist=staff&username=al+ice&password=p%26w%3D&password=x"),
    );
    expect(message).toMatchObject({ kind: "reply", group: "staff", opaque: undefined });
    expect(message.kind === "reply" && [...message.fields]).toEqual([
      ["username", "al ice"],
      ["password", "p&w="],
    ]);
  });

  test.each(["", "group_list=staff"])("without an answer begins: %j", (body) => {
    expect(parseLoginMessage(Buffer.from(body)).kind).toBe("init");
  });

  test("has fields with proper names alone", () => {
    expect(code("a b=c")).toBe("login-malformed");
  });
});

test("a client logs out", () => {
  const body = '<config-auth type="logout"><session-token>t0k</session-token></config-auth>';
  expect(parseLoginMessage(Buffer.from(body))).toEqual({ kind: "logout", token: "t0k" });
});

test.each(["<other/>", '<config-auth type="complete"/>', "<config-auth/>"])(
  "%s is no message of a client's",
  (body) => {
    expect(code(body)).toBe("login-malformed");
  },
);
