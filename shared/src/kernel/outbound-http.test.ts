import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { ConnectorError } from "../errors.ts";
import { testAuthority, testCertificate } from "../testing/certificate-authority.ts";
import { rejectedCode } from "../testing/thrown-code.ts";
import { subjectAltNameExtension } from "../x509/extensions.ts";
import { derToPem } from "../x509/pem.ts";
import { OutboundHttp, type OutboundHttpOptions } from "./outbound-http.ts";

const open: (Server | Disposable)[] = [];
afterEach(() => {
  for (const each of open.splice(0)) {
    if (Symbol.dispose in each) each[Symbol.dispose]();
    if ("closeAllConnections" in each) {
      each.close();
      each.closeAllConnections();
    }
  }
});

async function listening(server: Server): Promise<number> {
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function served(handler: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listening(createServer(handler))}`;
}

function clientOf(urls: readonly string[], of: Partial<OutboundHttpOptions> = {}): OutboundHttp {
  const client = new OutboundHttp({ urls, timeoutMs: 10_000, maxAnswerBytes: 100, ...of });
  open.push(client);
  return client;
}

/** An address where nobody listens. */
async function deserted(): Promise<string> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

describe("a request", () => {
  test("brings method, path below the base, headers and body, and any status is an answer", async () => {
    const url = await served(async (request, response) => {
      const chunks = await request.toArray();
      response.writeHead(418, { "x-seen": `${request.method} ${request.url}` });
      response.end(`${request.headers["x-token"]} ${Buffer.concat(chunks)}`);
    });
    const answer = await clientOf([`${url}/base/`]).send({
      method: "PUT",
      path: "/a?b=c",
      headers: { "x-token": "t" },
      body: "täglich",
    });
    expect(answer).toMatchObject({ status: 418, headers: { "x-seen": "PUT /base/a?b=c" } });
    expect(answer.body.toString()).toBe("t täglich");
  });

  test("does not follow a redirect", async () => {
    const url = await served((_, response) => {
      response.writeHead(302, { location: "http://127.0.0.1:1/elsewhere" }).end();
    });
    expect((await clientOf([url]).send({ method: "GET", path: "/" })).status).toBe(302);
  });

  test.each([
    [100, "nothing"],
    [101, "http-answer-too-large"],
  ])("takes an answer of %i bytes where 100 are allowed: %s", async (bytes, code) => {
    const url = await served((_, response) => response.end(Buffer.alloc(bytes)));
    const send = () => clientOf([url]).send({ method: "GET", path: "/" });
    expect(await rejectedCode(send)).toBe(code);
  });

  test("goes to the next address where nobody listens at the first", async () => {
    const url = await served((_, response) => response.end("second"));
    const { body } = await clientOf([await deserted(), url]).send({ method: "POST", path: "/" });
    expect(body.toString()).toBe("second");
  });

  test("that was sent goes to no second address", async () => {
    let seen = 0;
    const cut = await served((request) => request.socket.destroy());
    const other = await served((_, response) => {
      seen += 1;
      response.end();
    });
    const send = () => clientOf([cut, other]).send({ method: "POST", path: "/", body: "x" });
    expect(await rejectedCode(send)).toBe("http-interrupted");
    expect(seen).toBe(0);
  });

  test("ends in time where the service says nothing", async () => {
    const url = await served(() => {});
    const send = () => clientOf([url], { timeoutMs: 1_000 }).send({ method: "GET", path: "/" });
    await expect(send()).rejects.toMatchObject({ code: "http-timeout", isRetryable: true });
  });

  test("ends when its caller or its owner gives up", async () => {
    const abort = new AbortController();
    const asked = Promise.withResolvers<void>();
    const url = await served(() => asked.resolve());
    const client = clientOf([url]);
    const sent = client.send({ method: "GET", path: "/", signal: abort.signal });
    await asked.promise;
    abort.abort();
    await expect(sent).rejects.toMatchObject({ code: "http-interrupted" });
    client[Symbol.dispose]();
    const late = () => client.send({ method: "GET", path: "/" });
    expect(await rejectedCode(late)).toBe("http-unreachable");
  });

  test("is not reachable where nobody listens, with the address in the words", async () => {
    const send = () => clientOf(["http://127.0.0.1:1"]).send({ method: "GET", path: "/" });
    await expect(send()).rejects.toThrow(/127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED/);
  });
});

describe("over TLS", () => {
  async function tls() {
    const authority = await testAuthority({ notBefore: 0, notAfter: Date.now() + 86_400_000 });
    const identity = await testCertificate(
      {
        subject: "CN=server",
        notBefore: 0,
        notAfter: Date.now() + 86_400_000,
        extensions: [subjectAltNameExtension([{ type: "ip", value: "127.0.0.1" }])],
      },
      authority,
    );
    const pem = {
      certificate: derToPem(identity.certificate.der, "CERTIFICATE"),
      key: identity.key.export({ type: "pkcs8", format: "pem" }).toString(),
    };
    const trusted = derToPem(authority.certificate.der, "CERTIFICATE");
    const server = createTlsServer(
      {
        cert: pem.certificate,
        key: pem.key,
        ca: trusted,
        requestCert: true,
        rejectUnauthorized: false,
      },
      (request, response) => {
        response.end("authorized" in request.socket ? String(request.socket.authorized) : "");
      },
    );
    return { url: `https://127.0.0.1:${await listening(server)}`, trusted, pem };
  }

  test("trusts the given authority alone, and shows its own certificate", async () => {
    const { url, trusted, pem } = await tls();
    const get = { method: "GET", path: "/" } as const;
    expect((await clientOf([url], { trusted }).send(get)).body.toString()).toBe("false");
    const known = await clientOf([url], { trusted, client: pem }).send(get);
    expect(known.body.toString()).toBe("true");
    expect(await rejectedCode(() => clientOf([url]).send(get))).toBe("http-unreachable");
  });
});

const LASTING = { notBefore: 0, notAfter: Date.now() + 86_400_000 };

describe("an authorization that is bound to the connection", () => {
  test("is made when the server's certificate is known, and before anything is sent", async () => {
    const authority = await testAuthority(LASTING);
    const { certificate, key } = await testCertificate(
      {
        ...LASTING,
        extensions: [subjectAltNameExtension([{ type: "ip", value: "127.0.0.1" }])],
      },
      authority,
    );
    const server = createTlsServer(
      {
        cert: derToPem(certificate.der, "CERTIFICATE"),
        key: key.export({ type: "pkcs8", format: "pem" }),
      },
      (request, response) => response.end(request.headers.authorization),
    );
    const url = `https://127.0.0.1:${await listening(server)}`;
    const client = clientOf([url], { trusted: derToPem(authority.certificate.der, "CERTIFICATE") });
    const answer = await client.send({
      method: "GET",
      path: "",
      authorize: async ({ host, serverCertificate }) =>
        `${host} ${serverCertificate?.equals(certificate.der)}`,
    });
    expect(answer.body.toString()).toBe("127.0.0.1 true");
  });

  test("is not made where there is no connection, and its failure is the request's", async () => {
    let asked = 0;
    const authorize = async () => {
      asked += 1;
      throw new ConnectorError("no-ticket", "none");
    };
    const nobody = clientOf([await deserted()]);
    const of = { method: "GET", path: "", authorize } as const;
    expect(await rejectedCode(() => nobody.send(of))).toBe("http-unreachable");
    expect(asked).toBe(0);
    let requests = 0;
    const url = await served((_, response) => {
      requests += 1;
      response.end();
    });
    expect(await rejectedCode(() => clientOf([url]).send(of))).toBe("no-ticket");
    expect(requests).toBe(0);
  });
});
