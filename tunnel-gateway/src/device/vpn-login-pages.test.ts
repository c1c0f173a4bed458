import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoginAnswer } from "../core/vpn/vpn-service-port.ts";
import { engineConnection } from "../testing/fake-vpn-connections.ts";
import { passwordForm } from "../testing/fake-vpn-service.ts";
import { cookiesOf, elementOf, get, VpnFrontUnderTest } from "../testing/vpn-front-under-test.ts";
import {
  anyconnectInit,
  anyconnectReply,
  oldForm,
  openconnectInit,
  openconnectReply,
  request,
} from "../testing/vpn-requests.ts";

let under: VpnFrontUnderTest;
let service: VpnFrontUnderTest["service"];
let front: VpnFrontUnderTest["front"];

beforeEach(() => {
  under = new VpnFrontUnderTest();
  ({ service, front } = under);
});

afterEach(() => under[Symbol.dispose]());

describe("a login", () => {
  test("of openconnect 9.01 asks for name and password, and gives a cookie for them", async () => {
    const form = await under.ask(openconnectInit("/staff"));
    expect(form.status).toBe(200);
    expect(form.head).toContain("\r\nX-Transcend-Version: 1\r\n");
    expect(form.body).toMatch(/^<\?xml [\s\S]*type="auth-request"/);
    expect(cookiesOf(form.head)).toEqual([
      "webvpncontext=h4ndle; Max-Age=600; path=/; Secure; HttpOnly",
    ]);
    expect(service.begun[0]).toMatchObject({
      group: "staff",
      publicUrl: "https://vpn.example",
      client: { kind: "openconnect", platform: "linux-64", hasBrowser: true },
      connection: { remoteAddress: "192.0.2.7" },
    });
    const auth = "<username>alice</username><password>secret</password>";
    const success = await under.ask(openconnectReply(elementOf(form.body, "opaque"), auth));
    expect(service.answered[0]).toMatchObject({
      opaque: "h4ndle",
      fields: { username: "alice", password: "secret" },
    });
    expect(success.status).toBe(200);
    expect(elementOf(success.body, "session-token")).toBe("<session-token>t0k</session-token>");
    expect(cookiesOf(success.head)).toContain("webvpn=t0k; path=/; Secure; HttpOnly");
  });

  test("of AnyConnect 4.10 may go on on another connection, and names the profile", async () => {
    const form = await under.ask(anyconnectInit());
    expect(service.begun[0]?.client).toMatchObject({ kind: "anyconnect", version: "4.10.07073" });
    front.opened(engineConnection({ id: 2 }));
    const auth = "<username>alice</username><password>secret</password>";
    const success = await under.ask(anyconnectReply(elementOf(form.body, "opaque"), auth), 2);
    const hints =
      "webvpnc=bu:/&p:t&iu:1/&sh:AA01&fu:profiles%2Fcorp.xml&fh:BB02; path=/; Secure; HttpOnly";
    expect(cookiesOf(success.head)).toContain(hints);
    expect(success.body).toContain("<uri>/profiles/corp.xml</uri>");
    expect(service.answered[0]?.request.connection.id).toBe(2);
  });

  test("of openconnect 3 has its place in a cookie, and answers in the old form", async () => {
    const form = await under.ask(oldForm("group_list=staff"));
    expect(form.body).toMatch(/^<\?xml [^>]*>\n<auth id="main">/);
    expect(service.begun[0]).toMatchObject({ group: "staff" });
    const reply = oldForm("username=alice&password=secret", "webvpncontext=h4ndle");
    const success = await under.ask(reply);
    expect(service.answered[0]).toMatchObject({ opaque: "h4ndle", fields: { password: "secret" } });
    expect(cookiesOf(success.head)).toContain("webvpn=t0k; path=/; Secure; HttpOnly");
    expect(success.body).toContain('<auth id="success">');
  });

  test("without anything that says where it stands begins anew", async () => {
    await under.ask(openconnectReply("", "<password>secret</password>"));
    expect(service.answered).toEqual([]);
    expect(service.begun).toHaveLength(1);
  });

  test("shows the groups to choose from, but not at the URL of a group", async () => {
    const groups = [
      { name: "staff", label: "Staff" },
      { name: "guests", label: "Guests" },
    ];
    service.onBegin = () => ({ ...passwordForm, groups });
    service.onAnswer = { ...passwordForm, groups };
    const selected = "<group-select>staff</group-select>";
    expect((await under.ask(openconnectInit())).body).toContain("<select");
    expect((await under.ask(openconnectInit("/", selected))).body).toContain("<select");
    expect((await under.ask(openconnectInit("/staff"))).body).not.toContain("<select");
    const opaque = "<opaque><aggauth-handle>h4ndle</aggauth-handle></opaque>";
    expect((await under.ask(openconnectReply(opaque, "", selected))).body).toContain("<select");
    expect((await under.ask(openconnectReply(opaque, ""))).body).not.toContain("<select");
  });

  test("begins with a GET too", async () => {
    const form = await under.ask(get("/", "Authorization: Bearer a.b-c"));
    expect(form.body).toContain("Please log in.");
    expect(service.begun[0]).toMatchObject({ bearerToken: "a.b-c", group: undefined });
  });

  test("asks openconnect for its token once, and says that it may come without", async () => {
    service.onBegin = ({ canBringToken }) =>
      canBringToken ? { kind: "token", message: "bring one" } : passwordForm;
    const asked = await under.ask(openconnectInit("/staff"));
    expect(asked.status).toBe(401);
    expect(asked.head).toContain('\r\nWWW-Authenticate: Bearer realm="vpn"\r\n');
    expect(asked.head).toContain("\r\nX-HTTP-Auth-Support: fallback\r\n");
    expect(cookiesOf(asked.head)).toEqual([]);
    // Both come on the same connection: http.c keeps it.
    const fields = openconnectInit("/staff").toString();
    const supports = "X-Support-HTTP-Auth: true\r\n";
    const brought = fields.replace(supports, `${supports}Authorization: Bearer a.b-c\r\n`);
    expect((await under.ask(Buffer.from(brought))).status).toBe(200);
    const without = await under.ask(Buffer.from(fields.replace(supports, "")));
    expect(without.body).toContain("Please log in.");
    const told = service.begun.map(({ bearerToken, canBringToken }) => [
      bearerToken,
      canBringToken,
    ]);
    expect(told).toEqual([
      [undefined, true],
      ["a.b-c", false],
      [undefined, false],
    ]);
  });

  test("begins with a GET of a group's path where the client is one of this protocol", async () => {
    service.onBegin = ({ canBringToken }) =>
      canBringToken ? { kind: "token", message: "bring one" } : passwordForm;
    const agent = "User-Agent: Open AnyConnect VPN Agent v9.01-3";
    const ours = [agent, "X-Transcend-Version: 1", "X-Support-HTTP-Auth: true"];
    expect((await under.ask(get("/staff", agent))).status).toBe(404);
    expect((await under.ask(get("/staff/else", ...ours))).status).toBe(404);
    expect((await under.ask(get("/staff", ...ours))).status).toBe(401);
    const form = await under.ask(get("/staff", ...ours, "Authorization: Bearer a.b-c"));
    expect(form.body).toContain("Please log in.");
    expect(service.begun).toMatchObject([
      { group: "staff", canBringToken: true },
      { group: "staff", canBringToken: false, bearerToken: "a.b-c" },
    ]);
  });

  test("by a token that is refused shows why, however it began", async () => {
    const refusal = {
      code: "token-invalid",
      rule: "authenticator/entra",
      message: "Too old.",
    } as const;
    service.onBegin = () => ({ kind: "refused", refusal });
    const answer = await under.ask(get("/", "Authorization: Bearer a.b-c"));
    expect(answer.status).toBe(200);
    expect(elementOf(answer.body, "error")).toContain("Too old.");
  });

  test("never asks AnyConnect for a token, nor whoever has sent other credentials", async () => {
    const supports = "X-Support-HTTP-Auth: true\r\nX-Aggregate-Auth";
    const cisco = anyconnectInit().toString().replace("X-Aggregate-Auth", supports);
    expect(cisco).toContain(supports);
    await under.ask(Buffer.from(cisco));
    const basic = openconnectInit()
      .toString()
      .replace("Accept:", "Authorization: Basic eA==\r\nAccept:");
    await under.ask(Buffer.from(basic));
    expect(service.begun.map(({ canBringToken }) => canBringToken)).toEqual([false, false]);
  });

  test("that is refused shows why to a client that reads XML", async () => {
    const refusal = {
      code: "device-noncompliant",
      rule: "gate",
      message: "The disk is not encrypted.",
    } as const;
    service.onBegin = () => ({ kind: "refused", refusal });
    const answer = await under.ask(openconnectInit());
    expect(answer.status).toBe(200);
    expect(elementOf(answer.body, "error")).toContain("The disk is not encrypted.");
    expect(answer.head).toContain("X-Reason: The disk is not encrypted.");
    expect(answer.body).not.toContain("<form");
  });

  test("that is refused is 401 to others, and says when to come again", async () => {
    const refusal = {
      code: "login-busy",
      rule: "limits",
      message: "Später.",
      retryAfterSeconds: 4.2,
    } as const;
    service.onBegin = () => ({ kind: "refused", refusal });
    const answer = await under.ask(oldForm("username=alice&password=x"));
    expect(answer.status).toBe(401);
    expect(answer.head).toContain("\r\nX-Reason: Sp?ter.\r\nRetry-After: 5\r\n");
  });

  const browse: LoginAnswer = {
    kind: "browse",
    opaque: "h4ndle",
    message: "Log in in the browser.",
    loginUrl: "https://vpn.example/auth/entra/start",
    finalUrl: "https://vpn.example/auth/entra/done",
    tokenCookie: "isthmusToken",
    errorCookie: "isthmusError",
    groups: [],
    group: "staff",
  };

  test("goes on in the browser, whose cookie is the answer", async () => {
    service.onBegin = () => browse;
    const form = await under.ask(anyconnectInit());
    expect(form.body).toContain(
      "<sso-v2-login>https://vpn.example/auth/entra/start</sso-v2-login>",
    );
    expect(form.body).not.toContain("browser-mode");
    await under.ask(
      anyconnectReply(elementOf(form.body, "opaque"), "<sso-token>T0ken</sso-token>"),
    );
    expect(service.answered[0]?.fields).toEqual({ isthmusToken: "T0ken" });
  });

  test("goes on in the system's browser with an openconnect that named a key", async () => {
    service.onBegin = () => browse;
    const method = "<auth-method>single-sign-on-external-browser</auth-method>";
    const init = openconnectInit()
      .toString()
      .replace("</capabilities>", `${method}</capabilities>`);
    const length = init.length - init.indexOf("\r\n\r\n") - 4;
    const bytes = init.replace(
      /Content-Length: \d+/,
      `X-AnyConnect-STRAP-DH-Pubkey: k3y\r\nContent-Length: ${length}`,
    );
    const form = await under.ask(Buffer.from(bytes));
    expect(service.begun[0]?.client.browserKey).toBe("k3y");
    expect(form.body).toContain("<sso-v2-browser-mode>external</sso-v2-browser-mode>");
  });

  test("asks for a certificate, and hears that there is none", async () => {
    service.onBegin = () => ({ kind: "certificate", opaque: "h4ndle", message: "" });
    const asked = await under.ask(openconnectInit());
    expect(asked.body).toContain("<client-cert-request/>");
    await under.ask(openconnectInit("/", "<client-cert-fail/>"));
    expect(service.begun.map(({ hasNoCertificate }) => hasNoCertificate)).toEqual([false, true]);
  });
});

describe("a log-out", () => {
  test("ends the session of the cookie and takes the cookies away", async () => {
    const answer = await under.ask(get("/logout", "Cookie: webvpn=t0k"));
    expect(service.logouts).toEqual(["t0k"]);
    expect(cookiesOf(answer.head).map((cookie) => cookie.slice(0, 22))).toEqual([
      "webvpn=; expires=Thu, ",
      "webvpncontext=; expire",
    ]);
  });

  test("by XML ends the session that it names", async () => {
    const body = '<config-auth type="logout"><session-token>t0k</session-token></config-auth>';
    await under.ask(request("POST / HTTP/1.1", ["Host: vpn.example"], body));
    expect(service.logouts).toEqual(["t0k"]);
  });

  test("without a session is no fault", async () => {
    expect((await under.ask(get("/logout"))).status).toBe(200);
    expect(service.logouts).toEqual([]);
  });
});
