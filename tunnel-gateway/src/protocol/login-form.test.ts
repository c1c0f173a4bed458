import { describe, expect, test } from "vitest";
import { bodyOf, openconnectReply } from "../testing/vpn-requests.ts";
import {
  encodeCertificateRequest,
  encodeLoginForm,
  encodeLoginRefusal,
  encodeLoginSuccess,
  type LoginField,
  type LoginForm,
  wireNames,
} from "./login-form.ts";
import { parseLoginMessage } from "./login-message.ts";
import { childOf, parseXml, type XmlElement } from "./xml-element.ts";

const username: LoginField = { name: "username", label: "User name:", kind: "text" };
const password: LoginField = { name: "password", label: "Password:", kind: "password" };
const otp: LoginField = { name: "otp", label: "Code:", kind: "password" };
const form: LoginForm = {
  opaque: "h4ndle",
  message: "Please log in.",
  fields: [username, password],
  groups: [
    { name: "staff", label: "Staff" },
    { name: "guests", label: "Guests & others" },
  ],
  group: "guests",
};

const xml = (text: string) => parseXml(Buffer.from(text));
const at = (element: XmlElement, ...path: string[]) =>
  path.reduce<XmlElement | undefined>((one, name) => one && childOf(one, name), element);
const shown = (change: Partial<LoginForm> = {}) => xml(encodeLoginForm({ ...form, ...change }));
const attributesOf = (elements: readonly XmlElement[] | undefined, name: string) =>
  elements?.map(({ attributes }) => attributes.get(name));

describe("a form", () => {
  test("asks for its fields at /auth", () => {
    const root = shown();
    expect(root.attributes.get("type")).toBe("auth-request");
    expect(at(root, "auth")?.attributes.get("id")).toBe("main");
    expect(at(root, "auth", "message")?.text).toBe("Please log in.");
    const asked = at(root, "auth", "form");
    expect(asked?.attributes.get("action")).toBe("/auth");
    const inputs = asked?.children.filter(({ name }) => name === "input");
    expect(attributesOf(inputs, "name")).toEqual(["username", "password"]);
    expect(attributesOf(inputs, "type")).toEqual(["text", "password"]);
    expect(attributesOf(inputs, "label")).toEqual(["User name:", "Password:"]);
  });

  test("shows the group that was chosen first, for clients that do not look for the selected one", () => {
    const options = at(shown(), "auth", "form", "select")?.children;
    expect(attributesOf(options, "value")).toEqual(["guests", "staff"]);
    expect(attributesOf(options, "selected")).toEqual(["true", undefined]);
    expect(options?.[0]?.text).toBe("Guests & others");
  });

  test("shows no list of one group", () => {
    const groups = form.groups.slice(0, 1);
    expect(at(shown({ groups }), "auth", "form", "select")).toBeUndefined();
  });

  test("says why the last answer would not do", () => {
    expect(at(shown({ error: "Login failed." }), "auth", "error")?.text).toBe("Login failed.");
    expect(at(shown(), "auth", "error")).toBeUndefined();
  });

  test("carries hidden values", () => {
    const fields: LoginField[] = [{ name: "step", label: "", kind: "hidden", value: '2"' }];
    const input = at(shown({ fields }), "auth", "form", "input");
    expect(input?.attributes.get("value")).toBe('2"');
  });

  test("in openconnect 3's way is an auth element alone, with an id of its own for a password", () => {
    const alone = (fields: LoginField[]) => xml(encodeLoginForm({ ...form, fields }, "auth-alone"));
    expect(alone([username])).toMatchObject({ name: "auth" });
    expect(alone([username]).attributes.get("id")).toBe("main");
    expect(alone([password]).attributes.get("id")).toBe("passwd");
  });
});

describe("a field that AnyConnect would not know", () => {
  test("borrows a name that it knows", () => {
    expect(wireNames([otp])).toEqual(["password"]);
    expect(wireNames([username, password, otp])).toEqual([
      "username",
      "password",
      "secondary_password",
    ]);
    expect(wireNames([otp, password])).toEqual(["secondary_password", "password"]);
  });

  test("keeps its own where none is left", () => {
    expect(wireNames([otp, { ...otp, name: "pin" }, { ...otp, name: "puk" }])).toEqual([
      "password",
      "secondary_password",
      "puk",
    ]);
  });

  test("is answered under its own name by a client that sends opaque back", () => {
    const page = encodeLoginForm({ ...form, fields: [password, otp] });
    const [opaque = ""] = /<opaque.*<\/opaque>/.exec(page) ?? [];
    const auth = "<password>a</password><secondary_password>123456</secondary_password>";
    const answer = parseLoginMessage(bodyOf(openconnectReply(opaque, auth)));
    expect(answer.kind === "reply" && [...answer.fields]).toEqual([
      ["password", "a"],
      ["otp", "123456"],
    ]);
  });
});

describe("a login in the browser", () => {
  const browse = {
    loginUrl: "https://vpn.example/auth/entra/start?a=1&b=2",
    finalUrl: "https://vpn.example/auth/entra/done",
    tokenCookie: "isthmusToken",
    errorCookie: "isthmusError",
    isExternal: false,
  };

  test("has its addresses, its cookies and a field for the token", () => {
    const auth = at(shown({ fields: [], browse }), "auth");
    const text = (name: string) => auth && at(auth, name)?.text;
    expect(text("sso-v2-login")).toBe(browse.loginUrl);
    expect(text("sso-v2-login-final")).toBe(browse.finalUrl);
    expect(text("sso-v2-token-cookie-name")).toBe("isthmusToken");
    expect(text("sso-v2-error-cookie-name")).toBe("isthmusError");
    expect(text("sso-v2-browser-mode")).toBeUndefined();
    const input = auth && at(auth, "form", "input");
    expect(input?.attributes.get("type")).toBe("sso");
  });

  test("says when the system's browser is meant", () => {
    const auth = at(shown({ fields: [], browse: { ...browse, isExternal: true } }), "auth");
    expect(auth && at(auth, "sso-v2-browser-mode")?.text).toBe("external");
  });

  test("is answered with the cookie's value under the cookie's name", () => {
    const page = encodeLoginForm({ ...form, fields: [], browse });
    const [opaque = ""] = /<opaque.*<\/opaque>/.exec(page) ?? [];
    const answer = parseLoginMessage(
      bodyOf(openconnectReply(opaque, "<sso-token>T0ken</sso-token>")),
    );
    expect(answer).toMatchObject({ opaque: "h4ndle" });
    expect(answer.kind === "reply" && answer.fields.get("isthmusToken")).toBe("T0ken");
  });
});

test("a refusal has a text and nothing to fill in", () => {
  const root = xml(encodeLoginRefusal("The device <a> is not compliant."));
  expect(at(root, "auth", "error")?.text).toBe("The device <a> is not compliant.");
  expect(at(root, "auth", "form")).toBeUndefined();
  expect(xml(encodeLoginRefusal("No.", "auth-alone")).name).toBe("auth");
});

test("a certificate is asked for without a form", () => {
  expect(at(xml(encodeCertificateRequest()), "client-cert-request")).toBeDefined();
});

describe("a login that went well", () => {
  const success = {
    token: "t0k",
    banner: "Welcome & work",
    certificateHash: "aa01",
    profile: { file: "corp.xml", hash: "bb02" },
  };

  test("gives the token and names the profile", () => {
    const root = xml(encodeLoginSuccess(success));
    expect(root.attributes.get("type")).toBe("complete");
    expect(at(root, "session-token")?.text).toBe("t0k");
    expect(at(root, "auth")?.attributes.get("id")).toBe("success");
    expect(at(root, "auth", "banner")?.text).toBe("Welcome & work");
    expect(at(root, "config", "vpn-base-config", "server-cert-hash")?.text).toBe("AA01");
    const file = at(root, "config", "vpn-profile-manifest", "vpn", "file");
    expect(file && at(file, "uri")?.text).toBe("/profiles/corp.xml");
    expect(file && at(file, "hash")?.text).toBe("BB02");
  });

  test("needs no banner and no profile", () => {
    const root = xml(encodeLoginSuccess({ ...success, banner: undefined, profile: undefined }));
    expect(at(root, "auth", "banner")).toBeUndefined();
    expect(at(root, "config", "vpn-profile-manifest")).toBeUndefined();
  });

  test("is an auth element alone for openconnect 3", () => {
    expect(xml(encodeLoginSuccess(success, "auth-alone")).attributes.get("id")).toBe("success");
  });
});
