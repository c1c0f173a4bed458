import { connect, type Socket } from "node:net";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { goodProfile } from "../core/fixture.ts";
import { plainAnswer } from "./http-answer.ts";
import { type HttpListener, type HttpListenerParts, startHttpListener } from "./http-listener.ts";
import { BusyError } from "./issuance-gate.ts";
import type { ProfileAuthority } from "./profile-authority.ts";
import type { PublicationHandler } from "./publication-handler.ts";
import { ScepHandler } from "./scep-handler.ts";
import type { ScepOperations } from "./scep-operations.ts";

/** What hostile and old HTTP clients do to the listener, over bare sockets. */

const noScep = { profileAt: () => undefined } as unknown as ScepHandler;
const ok: PublicationHandler["answer"] = async () => plainAnswer(200, "ok", "ok");

function listenWith(
  rest: Partial<HttpListenerParts> = {},
  answer: PublicationHandler["answer"] = ok,
): Promise<HttpListener> {
  return startHttpListener({
    address: "127.0.0.1",
    port: 0,
    scep: noScep,
    publication: { answer } as unknown as PublicationHandler,
    isConfigured: () => true,
    onFault: (error) => {
      throw error;
    },
    ...rest,
  });
}

/** A bare connection: what came over it, and whether it is closed. */
class BareClient {
  readonly socket: Socket;
  text = "";
  isClosed = false;

  constructor(listener: HttpListener, send = "") {
    const { hostname, port } = new URL(listener.url);
    this.socket = connect(Number(port), hostname);
    this.socket.on("error", () => undefined);
    this.socket.once("close", () => {
      this.isClosed = true;
    });
    this.socket.setEncoding("utf8").on("data", (text: string) => {
      this.text += text;
    });
    if (send !== "") this.socket.write(send);
  }

  get statuses(): string[] {
    return [...this.text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status = ""]) => status);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

describe("old clients", () => {
  test("HTTP/1.0 without a Host is answered, and the connection ends with the answer", async () => {
    await using listener = await listenWith();
    using client = new BareClient(listener, "GET /ca HTTP/1.0\r\n\r\n");
    await until(() => client.isClosed);
    expect(client.statuses).toEqual(["200"]);
    expect(client.text).toMatch(/^Connection: close\r$/m);
    expect(client.text).toMatch(/ok: ok\n$/);
  });

  test("HTTP/1.1 without a Host is refused", async () => {
    await using listener = await listenWith();
    using client = new BareClient(listener, "GET /ca HTTP/1.1\r\n\r\n");
    await until(() => client.isClosed);
    expect(client.statuses).toEqual(["400"]);
  });

  test("HEAD has the head of the answer and no body", async () => {
    await using listener = await listenWith();
    using client = new BareClient(listener, "HEAD /ca HTTP/1.0\r\n\r\n");
    await until(() => client.isClosed);
    expect(client.text).toMatch(/^Content-Length: 7\r$/m);
    expect(client.text).toMatch(/\r\n\r\n$/);
  });
});

describe("pipelined requests", () => {
  const request = "GET /ca HTTP/1.1\r\nHost: a\r\n\r\n";

  test("are answered in their order", async () => {
    const answer: PublicationHandler["answer"] = async (path) => plainAnswer(200, "at", path);
    await using listener = await listenWith({}, answer);
    const three = [1, 2, 3].map((number) => `GET /${number} HTTP/1.1\r\nHost: a\r\n\r\n`).join("");
    using client = new BareClient(listener, three);
    await until(() => client.statuses.length === 3);
    await until(() => client.text.includes("at: /3"));
    expect([...client.text.matchAll(/at: \/(\d)/g)].map(([, number]) => number)).toEqual([
      ..."123",
    ]);
  });

  test("after sixteen that wait, the next is told to come back and the connection ends", async () => {
    const held = Promise.withResolvers<undefined>();
    await using listener = await listenWith({}, async () => held.promise);
    using client = new BareClient(listener, request.repeat(20));
    await until(() => listener.requestsInFlight() === 16);
    held.resolve(undefined);
    await until(() => client.isClosed);
    expect(client.statuses).toEqual([...Array.from({ length: 16 }, () => "404"), "503"]);
  });
});

describe("who holds a connection", () => {
  test("sending a head byte by byte is cut off after the time for a head", async () => {
    await using listener = await listenWith({ headTimeoutMs: 100, requestTimeoutMs: 200 });
    using client = new BareClient(listener, "GET /ca HTTP/1.1\r\nHo");
    const drip = setInterval(() => client.socket.write("s"), 10);
    await until(() => client.isClosed);
    clearInterval(drip);
    expect(client.statuses).toEqual(["408"]);
  });

  test("sending a body byte by byte is cut off after the time for a request", async () => {
    await using listener = await listenWith({ headTimeoutMs: 100, requestTimeoutMs: 200 });
    const head = "POST /ca HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    using client = new BareClient(listener, head);
    const drip = setInterval(() => client.socket.write("s"), 10);
    await until(() => client.isClosed);
    clearInterval(drip);
    expect(client.text).not.toContain("200 OK");
  });

  test("over the limit of connections the next is closed unread, and let in when one has gone", async () => {
    await using listener = await listenWith({ maxConnections: 2 });
    using first = new BareClient(listener, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    using second = new BareClient(listener, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => first.statuses.length + second.statuses.length === 2);
    using third = new BareClient(listener, "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => third.isClosed);
    expect(third.text).toBe("");
    first.socket.destroy();
    await until(async () => {
      using fourth = new BareClient(listener, "GET /4 HTTP/1.0\r\n\r\n");
      await until(() => fourth.isClosed);
      return fourth.statuses[0] === "200";
    });
  });
});

test("a device that finds no place is told when to come back, in the answer's head", async () => {
  const busy = { answer: () => Promise.reject(new BusyError(17)) };
  const scep = new ScepHandler({
    operations: busy as unknown as ScepOperations,
    authorityOf: () => ({}) as ProfileAuthority,
    profileAt: () => goodProfile,
    clock: new FakeClock(),
  });
  await using listener = await listenWith({ scep });
  const path = "/scep/device?operation=PKIOperation";
  using client = new BareClient(listener, `POST ${path} HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc`);
  await until(() => client.isClosed);
  expect(client.statuses).toEqual(["503"]);
  expect(client.text).toMatch(/^Retry-After: 17\r$/m);
});

describe("what is too large", () => {
  test("a head over its limit is refused with 431, one below it is read", async () => {
    await using listener = await listenWith();
    const withHead = (length: number) => `GET /ca HTTP/1.0\r\nX: ${"a".repeat(length)}\r\n\r\n`;
    using below = new BareClient(listener, withHead(70_000));
    await until(() => below.isClosed);
    expect(below.statuses).toEqual(["200"]);
    using above = new BareClient(listener, withHead(81_920));
    await until(() => above.isClosed);
    expect(above.statuses).toEqual(["431"]);
  });

  test("a length that is announced twice, and chunks with one, are refused", async () => {
    await using listener = await listenWith();
    const smuggled = [
      "Content-Length: 3\r\nContent-Length: 4\r\n",
      "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    ];
    for (const lengths of smuggled) {
      using client = new BareClient(listener, `POST /ca HTTP/1.1\r\nHost: a\r\n${lengths}\r\nabc`);
      await until(() => client.isClosed);
      expect(client.statuses).toEqual(["400"]);
    }
  });
});
