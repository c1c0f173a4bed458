import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import {
  connectThrough,
  type DesiredInput,
  echo,
  type GatewayUnderTest,
  listOf,
  openPort,
  openTls,
  readAnswer,
  readUntil,
  startGateway,
  startTarget,
} from "../testing/gateway-under-test.ts";
import { startNameServer } from "../testing/name-server.ts";
import { deviceUri, issueTo, makeDeviceAuthority } from "../testing/test-certificates.ts";

const authority = await makeDeviceAuthority();
const identity = await issueTo(authority, [deviceUri("d1")]);

/** A gateway that opens the target to device d1, and the target. */
async function opened(desired: Partial<DesiredInput> = {}, local: Record<string, unknown> = {}) {
  const gateway = await startGateway({ authority, local });
  const target = await startTarget(echo);
  await gateway.configure({ policies: openPort(target.port), devices: listOf("d1"), ...desired });
  return {
    gateway,
    target,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

async function refusalOf(gateway: GatewayUnderTest, destination: string, as = identity) {
  const { status, head, body, socket } = await connectThrough(gateway, destination, {
    identity: as,
  });
  socket.destroy();
  return { status, head, ...body };
}

describe.each(["TLSv1.2", "TLSv1.3"] as const)("over %s", (version) => {
  const tls = { identity, minVersion: version, maxVersion: version };

  test("a compliant device reaches a target by address and by name", async () => {
    await using all = await opened();
    for (const host of ["127.0.0.1", "target.test", "TARGET.test."]) {
      const answer = await connectThrough(all.gateway, `${host}:${all.target.port}`, tls);
      expect(answer.status).toBe(200);
      answer.socket.write("hello\n");
      expect(await readUntil(answer.socket, "\n")).toBe("hello\n");
      answer.socket.end();
      await once(answer.socket, "close");
    }
    const { gateway } = all;
    await until(async () =>
      (await gateway.kernel.metrics.metrics()).includes('{end="complete"} 3'),
    );
  });

  test("a client without certificate, or with one of a foreign CA, gets no connection", async () => {
    await using all = await opened();
    const foreign = await issueTo(await makeDeviceAuthority("Foreign"), [deviceUri("d1")]);
    for (const client of [{}, { identity: foreign }]) {
      const attempt = async () => {
        const options = { ...client, minVersion: version, maxVersion: version };
        await connectThrough(all.gateway, `127.0.0.1:${all.target.port}`, options);
      };
      await expect(attempt()).rejects.toThrow();
    }
    expect(await all.gateway.gateway.controls["sessions"]?.(null)).toMatchObject({ total: 0 });
  });

  test("no session is resumed, so that every connection shows its certificate", async () => {
    await using all = await opened();
    const first = await openTls(all.gateway, tls);
    const sessions: Buffer[] = [first.getSession() ?? Buffer.alloc(0)];
    first.on("session", (session: Buffer) => sessions.push(session));
    first.write("GET / HTTP/1.1\r\n\r\n");
    await readAnswer(first);
    for (const session of sessions) {
      const again = await openTls(all.gateway, { ...tls, session });
      expect(again.isSessionReused()).toBe(false);
    }
  });
});

test("bytes sent along with the request reach the target", async () => {
  await using all = await opened();
  const socket = await openTls(all.gateway, { identity });
  const to = `127.0.0.1:${all.target.port}`;
  socket.write(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\nearly\n`);
  expect((await readAnswer(socket)).status).toBe(200);
  expect(await readUntil(socket, "\n")).toBe("early\n");
});

describe("a refusal names its rule", () => {
  test("of the policy, in Proxy-Status and in the body", async () => {
    await using all = await opened();
    const refusal = await refusalOf(all.gateway, "other.test:443");
    expect(refusal).toMatchObject({ status: 403, code: "policy-denied", rule: "default-deny" });
    expect(refusal.head).toContain(
      'Proxy-Status: isthmus; error=http_request_denied; details="rule default-deny"',
    );
  });

  test("of the default-deny list, by address and by name", async () => {
    const everything = [
      { cidr: "0.0.0.0/0", ports: ["1-65535"] },
      { cidr: "::/0", ports: ["1-65535"] },
    ];
    const rules = [{ name: "all", action: "allow" as const, destinations: everything }];
    await using all = await opened({ policies: [{ name: "p", groups: ["*"], rules }] });
    const hosts = ["169.254.169.254", "[::ffff:169.254.169.254]", "metadata.test"];
    for (const host of hosts) {
      const refusal = await refusalOf(all.gateway, `${host}:80`);
      expect(refusal).toMatchObject({
        status: 403,
        code: "egress-forbidden",
        rule: "egress/metadata",
      });
      expect(refusal.head).toContain("error=destination_ip_prohibited");
    }
    const own = await refusalOf(all.gateway, `127.0.0.1:${all.gateway.port}`);
    expect(own.rule).toBe("egress/own-listener");
  });

  test("of the gate", async () => {
    await using all = await opened();
    const unknown = await issueTo(authority, [deviceUri("d2")]);
    const to = `127.0.0.1:${all.target.port}`;
    expect(await refusalOf(all.gateway, to, unknown)).toMatchObject({ code: "device-unknown" });
    const nameless = await issueTo(authority, [{ type: "dns", value: "d1" }]);
    const refusal = await refusalOf(all.gateway, to, nameless);
    expect(refusal).toMatchObject({ code: "certificate-identity-missing", rule: "anchor/devices" });
  });
});

test("a name with one forbidden address is refused whole: that is how rebinding looks", async () => {
  await using names = await startNameServer({
    "rebound.test": ["10.1.2.3", "169.254.169.254"],
    "local.test": ["127.0.0.1"],
  });
  await using all = await opened({}, { resolver: { servers: [names.server] } });
  const { port } = all.target;
  const destinations = [{ cidr: "0.0.0.0/0", ports: [port] }];
  const rules = [{ name: "all", action: "allow" as const, destinations }];
  const policies = [{ name: "p", groups: ["*"], rules }];
  await all.gateway.configure({ policies, devices: listOf("d1") });
  const refusal = await refusalOf(all.gateway, `rebound.test:${port}`);
  expect(refusal).toMatchObject({ code: "egress-forbidden", rule: "egress/metadata" });
  expect((await refusalOf(all.gateway, `none.test:${port}`)).code).toBe("dns-not-found");
  const answer = await connectThrough(all.gateway, `local.test:${port}`, { identity });
  expect(answer.status).toBe(200);
});

test("a name that no rule allows is not asked for", async () => {
  await using names = await startNameServer({ "secret.test": ["10.1.2.3"] });
  await using all = await opened({}, { resolver: { servers: [names.server] } });
  const other = await refusalOf(all.gateway, `secret.test:${all.target.port + 1}`);
  expect(other.code).toBe("policy-denied");
  expect(names.asked).toEqual([]);
});

test("a target that refuses is a failure of the target, not a rule", async () => {
  await using all = await opened();
  const { port } = all.target;
  await all.target[Symbol.asyncDispose]();
  const refusal = await refusalOf(all.gateway, `127.0.0.1:${port}`);
  expect(refusal).toMatchObject({ status: 502, code: "connect-refused" });
  expect(refusal.rule).toBeUndefined();
  expect(refusal.head).toContain("error=connection_refused");
});

describe("limits", () => {
  test("a device has a number of connections, and gets one back when one ends", async () => {
    await using all = await opened({ limits: { connectionsPerDevice: 2 } });
    const to = `127.0.0.1:${all.target.port}`;
    const [first] = [
      await connectThrough(all.gateway, to, { identity }),
      await connectThrough(all.gateway, to, { identity }),
    ];
    const refusal = await refusalOf(all.gateway, to);
    expect(refusal).toMatchObject({ status: 429, rule: "limits/connectionsPerDevice" });
    first?.socket.destroy();
    await until(async () => (await refusalOf(all.gateway, to)).status === 200);
  });

  test("all devices together have a number of connections", async () => {
    await using all = await opened({ limits: { connections: 1 } });
    const to = `127.0.0.1:${all.target.port}`;
    await connectThrough(all.gateway, to, { identity });
    expect(await refusalOf(all.gateway, to)).toMatchObject({ rule: "limits/connections" });
  });

  test("a connection that says nothing, or not enough, is ended", async () => {
    const admission = { handshakeSeconds: 1 };
    await using all = await opened({}, { admission });
    const silent = connect({ port: all.gateway.port, host: "127.0.0.1" });
    silent.on("error", () => {});
    const slow = await openTls(all.gateway, { identity });
    slow.write("CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost:");
    const answer = readAnswer(slow);
    await once(silent.resume(), "close");
    expect(await answer).toMatchObject({ status: 408, body: { code: "connect-timeout" } });
  });

  test("strangers have a number of connections, that devices do not count in", async () => {
    await using all = await opened({}, { admission: { pending: 2 } });
    const to = `127.0.0.1:${all.target.port}`;
    const held = [
      await connectThrough(all.gateway, to, { identity }),
      await connectThrough(all.gateway, to, { identity }),
      await connectThrough(all.gateway, to, { identity }),
    ];
    expect(held.map(({ status }) => status)).toEqual([200, 200, 200]);
    const strangers = [0, 1].map(() => connect({ port: all.gateway.port, host: "127.0.0.1" }));
    await Promise.all(strangers.map((socket) => once(socket, "connect")));
    const third = connect({ port: all.gateway.port, host: "127.0.0.1" });
    expect((await once(third.resume(), "error"))[0]).toMatchObject({ code: "ECONNRESET" });
    const metrics = await all.gateway.kernel.metrics.metrics();
    expect(metrics).toContain('tunnel_gateway_handshakes_failed_total{reason="too-many"} 1');
    for (const socket of strangers) socket.destroy();
  });
});

describe("requests that are no CONNECT for us", () => {
  test.each([
    ["another method", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 405, "connect-method"],
    [
      "an upgrade",
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
      405,
      "connect-method",
    ],
    ["HTTP/1.0", "CONNECT h:1 HTTP/1.0\r\nHost: h:1\r\n\r\n", 400, "connect-version"],
    ["no Host", "CONNECT h:1 HTTP/1.1\r\n\r\n", 400, "connect-host"],
    [
      "a body",
      "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\n",
      400,
      "connect-body",
    ],
    ["a path", "CONNECT /x HTTP/1.1\r\nHost: h:1\r\n\r\n", 400, undefined],
    ["no HTTP", "\x16\x03\x01 hello\r\n\r\n", 400, "connect-malformed"],
    ["a bare line feed in the head", "CONNECT h:1 HTTP/1.1\nHost: h:1\n\n", 400, undefined],
    [
      "a head over 8 KiB",
      `CONNECT h:1 HTTP/1.1\r\nX: ${"x".repeat(9_000)}\r\n\r\n`,
      431,
      "connect-head-size",
    ],
  ])("%s", async (_, text, status, code) => {
    await using all = await opened();
    const socket = await openTls(all.gateway, { identity });
    socket.write(text, "latin1");
    const answer = await readAnswer(socket);
    expect(answer.status).toBe(status);
    if (code !== undefined) expect(answer.body.code).toBe(code);
    expect(answer.head).toContain("Proxy-Status: isthmus; error=http_request_error");
  });

  test("a client that offers another application protocol is turned away", async () => {
    await using all = await opened();
    await expect(openTls(all.gateway, { identity, alpn: ["spdy/3"] })).rejects.toThrow(
      /no application protocol/i,
    );
  });
});

test("a page is fetched whole through the relay", async () => {
  const page = Buffer.alloc(5_000_000, "isthmus ");
  const site = createServer((_, response) => response.end(page)).listen(0, "127.0.0.1");
  await once(site, "listening");
  const { port } = site.address() as { port: number };
  await using all = await opened({ policies: openPort(port) });
  const { socket } = await connectThrough(all.gateway, `target.test:${port}`, { identity });
  socket.end("GET / HTTP/1.1\r\nHost: target.test\r\nConnection: close\r\n\r\n");
  await readUntil(socket, "\r\n\r\n");
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  expect(Buffer.concat(chunks).equals(page)).toBe(true);
  site.close();
});

test("when a device used the relay is in the audit: once, however many connections it had", async () => {
  await using all = await opened();
  for (let connection = 0; connection < 3; connection++) {
    const { socket } = await connectThrough(all.gateway, `127.0.0.1:${all.target.port}`, {
      identity,
    });
    socket.end("hello\n");
    await readUntil(socket, "\n");
    await once(socket, "close");
  }
  const sessions = async () =>
    (await all.gateway.kernel.store.run("auditPage", 0)).filter(({ event }) =>
      event.startsWith("relay.session"),
    );
  await until(async () => (await sessions()).length === 1);
  await all.gateway.gateway[Symbol.asyncDispose]();
  const [began, ended] = (await sessions()).map((entry) => JSON.parse(entry.payloadText ?? "{}"));
  expect(began).toMatchObject({ deviceId: "d1" });
  expect(ended).toMatchObject({ deviceId: "d1", connections: 3, bytesUp: 18, bytesDown: 18 });
});
