import { until } from "@isthmus/shared/testing/until";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoginAnswer } from "../core/vpn/vpn-service-port.ts";
import { engineConnection } from "../testing/fake-vpn-connections.ts";
import {
  cookiesOf,
  get,
  RELAYED_PER_ADDRESS,
  REQUEST_TIMEOUT_MS,
  VpnFrontUnderTest,
} from "../testing/vpn-front-under-test.ts";
import { request } from "../testing/vpn-requests.ts";
import { MAX_REQUESTS } from "./vpn-connection.ts";

let under: VpnFrontUnderTest;
let engine: VpnFrontUnderTest["engine"];
let service: VpnFrontUnderTest["service"];
let front: VpnFrontUnderTest["front"];

beforeEach(() => {
  under = new VpnFrontUnderTest();
  ({ engine, service, front } = under);
});

afterEach(() => under[Symbol.dispose]());

describe("the relay", () => {
  const connect = request("CONNECT intranet.example:443 HTTP/1.1", ["Host: intranet.example:443"]);
  const certificate = Buffer.from("certificate");
  const known = engineConnection({
    certificates: [certificate],
    verification: { isVerified: true, reason: "" },
  });

  test("gets a stream with the certificate and what came along", async () => {
    front.opened(known);
    front.bytes(1, Buffer.concat([connect, Buffer.from("early")]));
    await until(() => under.relayed.length === 1);
    const [one] = under.relayed;
    expect(one).toMatchObject({ authority: { host: "intranet.example", port: 443 }, certificate });
    expect(one?.head.toString()).toBe("early");
    one?.establish();
    expect(engine.written.get(1)?.toString()).toBe("HTTP/1.1 200 Connection established\r\n\r\n");
    front.bytes(1, Buffer.from("later"));
    expect(one?.socket.read()?.toString()).toBe("later");
    front.closed(1, true);
    one?.socket.resume();
    await until(() => one?.socket.readableEnded === true);
  });

  test("has so many connections from one address at a time behind which no device is known yet", async () => {
    const ask = (id: number) => {
      front.opened({ ...known, id });
      front.bytes(id, connect);
    };
    for (let id = 1; id <= RELAYED_PER_ADDRESS; id += 1) ask(id);
    await until(() => under.relayed.length === RELAYED_PER_ADDRESS);
    ask(8);
    expect((await engine.answer(8)).status).toBe(429);
    expect(under.refused).toEqual(["limit-connections"]);
    under.relayed[0]?.accept();
    ask(9);
    await until(() => under.relayed.length === RELAYED_PER_ADDRESS + 1);
  });

  test("says no on the stream", async () => {
    front.opened(known);
    front.bytes(1, connect);
    await until(() => under.relayed.length === 1);
    under.relayed[0]?.refuse({
      status: 403,
      error: "http_request_denied",
      code: "policy-denied",
      message: "no",
    });
    await until(() => engine.ended.get(1) === "clean");
    expect(engine.written.get(1)?.toString()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    await until(() => front.open === 0);
  });

  test.each([
    ["without a certificate", engineConnection()],
    ["with one that is not verified", engineConnection({ certificates: [certificate] })],
  ])("is not for clients %s", async (_, connection) => {
    front.opened(connection);
    expect((await under.ask(connect)).status).toBe(403);
    expect(under.relayed).toEqual([]);
  });

  test("does not go to what is no host and port", async () => {
    const answer = await under.ask(request("CONNECT /elsewhere HTTP/1.1", ["Host: /elsewhere"]));
    expect(answer.status).toBe(400);
    expect(under.refused).toEqual(["authority-malformed"]);
  });
});

describe("pages", () => {
  test("of an authenticator are its own", async () => {
    service.onPage = {
      status: 302,
      headers: new Map([["Location", "https://login.example/"]]),
      cookies: ["isthmusToken=a; Secure"],
      body: "",
    };
    const answer = await under.ask(get("/auth/entra/start?a=1", "Cookie: x=y"));
    expect(answer.status).toBe(302);
    expect(answer.head).toContain("Location: https://login.example/\r\n");
    expect(cookiesOf(answer.head)).toEqual(["isthmusToken=a; Secure"]);
    const [asked] = service.pages;
    expect(asked?.authenticator).toBe("entra");
    expect(asked?.request.url.href).toBe("https://vpn.example/auth/entra/start?a=1");
    expect(asked?.request.cookies.get("x")).toBe("y");
  });

  test("of an authenticator that has none are not there", async () => {
    expect((await under.ask(get("/auth/entra"))).status).toBe(404);
  });

  test("that would make more fields than they are never leave", async () => {
    service.onPage = {
      status: 302,
      headers: new Map([["Location", "a\r\nb: c"]]),
      cookies: [],
      body: "",
    };
    expect((await under.ask(get("/auth/entra"))).status).toBe(400);
    expect(under.refused).toEqual(["response-field"]);
  });

  test.each([
    ["/profiles/corp.xml", "<profile/>"],
    ["/1/binaries/update.txt", "0,0,0000\n"],
    ["/cert.cer", "server"],
    ["/cert.pem", "-----BEGIN CERTIFICATE-----\nc2VydmVy\n-----END CERTIFICATE-----\n"],
  ])("that AnyConnect looks for stand at %s", async (path, body) => {
    expect(await under.ask(get(path))).toMatchObject({ status: 200, body });
  });

  test.each(["/profiles/other.xml", "/ca.pem", "/admin", "/staff", "/auth/../x", "/auth/A"])(
    "do not stand at %s",
    async (path) => {
      expect((await under.ask(get(path))).status).toBe(404);
    },
  );

  test("do not tell what product they come from", async () => {
    expect((await under.ask(get("/"))).head).not.toMatch(/isthmus|node|server:/i);
  });

  test.each(["DELETE", "HEAD", "OPTIONS"])("are not served by %s", async (method) => {
    const answer = await under.ask(request(`${method} / HTTP/1.1`, ["Host: vpn.example"]));
    expect(answer).toMatchObject({ status: 405, body: "" });
    expect(answer.head).toContain("Allow: GET, POST");
  });
});

describe("a connection", () => {
  test("stays open for the next request, and ends where the client wants it to", async () => {
    expect((await under.ask(get("/svc"))).head).toContain("Connection: Keep-Alive");
    expect(engine.ended.size).toBe(0);
    expect((await under.ask(get("/svc", "Connection: TE, close"))).head).toContain(
      "Connection: close",
    );
    expect((await under.ask(get("/svc", "Connection: TE   ,\t Close"))).head).toContain(
      "Connection: close",
    );
    expect(engine.ended.get(1)).toBe("clean");
    expect(front.open).toBe(0);
  });

  test("of HTTP/1.0 ends after its request, unless it is to be kept", async () => {
    await under.ask(request("GET /svc HTTP/1.0", ["Connection: keep-alive"]));
    expect(engine.ended.size).toBe(0);
    await under.ask(request("GET /svc HTTP/1.0", []));
    expect(engine.ended.get(1)).toBe("clean");
  });

  test("gets its answers in the order of its requests, one after another", async () => {
    const { promise, resolve } = Promise.withResolvers<LoginAnswer>();
    service.onBegin = () => promise;
    front.opened(engineConnection());
    front.bytes(1, Buffer.concat([get("/"), get("/1/binaries/update.txt")]));
    await until(() => service.begun.length === 1);
    expect(engine.written.size).toBe(0);
    resolve({ kind: "certificate", opaque: "h4ndle", message: "" });
    expect((await engine.answer(1)).body).toContain("client-cert-request");
    expect((await engine.answer(1)).body).toBe("0,0,0000\n");
  });

  test(`serves ${MAX_REQUESTS} requests`, async () => {
    for (let count = 1; count < MAX_REQUESTS; count += 1) await under.ask(get("/svc"));
    expect(engine.ended.size).toBe(0);
    expect((await under.ask(get("/svc"))).head).toContain("Connection: close");
    expect(engine.ended.get(1)).toBe("clean");
  });

  test("ends when a request takes longer than 30 s to come", () => {
    front.opened(engineConnection());
    const start = performance.now();
    front.bytes(1, Buffer.from("GET / HT"));
    front.sweep(start + REQUEST_TIMEOUT_MS - 1_000);
    expect(engine.ended.size).toBe(0);
    front.sweep(performance.now() + REQUEST_TIMEOUT_MS + 1);
    expect(engine.written.get(1)?.toString()).toMatch(/^HTTP\/1\.1 408 /);
    expect(engine.ended.get(1)).toBe("clean");
    expect(under.refused).toEqual(["http-timeout"]);
  });

  test("that sends nothing at first ends likewise", () => {
    front.opened(engineConnection());
    front.sweep(performance.now() + REQUEST_TIMEOUT_MS + 1);
    expect(engine.ended.get(1)).toBe("clean");
  });

  test("may be silent between requests: a person is typing", async () => {
    await under.ask(get("/"));
    front.sweep(performance.now() + 10 * REQUEST_TIMEOUT_MS);
    expect(engine.ended.size).toBe(0);
  });

  test.each([
    ["GET / HTTP/1.1\nHost: a\n\n".padEnd(16_384, "x"), 431, "http-head-size"],
    ["NONSENSE\r\n\r\n", 400, "http-malformed"],
    ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413, "http-body-size"],
    [
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
      400,
      "http-transfer-encoding",
    ],
    [
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n<!DOCTYPE a><a/>\n",
      400,
      "xml-markup",
    ],
  ])("is refused and ended for %j", async (bytes, status, code) => {
    const answer = await under.ask(Buffer.from(bytes));
    expect(answer.status).toBe(status);
    expect(answer.head).toContain("Connection: close");
    await until(() => engine.ended.get(1) === "clean");
    expect(under.refused).toEqual([code]);
  });

  test("is told nothing of a fault of ours", async () => {
    service.onBegin = () => Promise.reject(new Error("the secret is 42"));
    const answer = await under.ask(get("/"));
    expect(answer).toMatchObject({ status: 500, body: "internal error\n" });
    expect(under.faults).toHaveLength(1);
    expect(under.refused).toEqual([]);
  });

  test("that has gone stops what was under way for it", async () => {
    service.onBegin = () => new Promise(() => {});
    front.opened(engineConnection());
    front.bytes(1, get("/"));
    await until(() => service.signal !== undefined);
    expect(service.signal?.aborted).toBe(false);
    front.closed(1, true);
    expect(service.signal?.aborted).toBe(true);
    expect(front.open).toBe(0);
  });
});
