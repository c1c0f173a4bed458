import { createServer } from "node:http";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer as createTcpServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { rejectedCode } from "../testing/thrown-code.ts";
import { connectToCloud, parseCloudUrl } from "./cloud-address.ts";

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function listening(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  opened.push(server);
}

/** A proxy that lets `authorization` through, and answers everything else with `status` and a challenge. */
async function proxy(of: { authorization?: string; status?: number; challenge?: string }) {
  const asked: string[] = [];
  const server = createServer();
  server.on("connect", (request, socket: Socket) => {
    asked.push(String(request.url));
    opened.push({ close: () => socket.destroy() });
    if (of.status !== undefined && request.headers["proxy-authorization"] !== of.authorization) {
      const challenge = of.challenge === undefined ? "" : `proxy-authenticate: ${of.challenge}\r\n`;
      socket.end(`HTTP/1.1 ${of.status} No\r\n${challenge}content-length: 0\r\n\r\n`);
      return;
    }
    const [host = "", port = ""] = String(request.url).split(":");
    const far = connect({ host, port: Number(port) });
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    socket.pipe(far).pipe(socket);
  });
  await listening(server);
  return { url: `http://127.0.0.1:${portOf(server)}`, asked };
}

/** Where connections go in the end: it says hello to each. */
async function greeter(): Promise<URL> {
  const server = createTcpServer((socket) => {
    opened.push({ close: () => socket.destroy() });
    socket.end("hello");
  });
  await listening(server);
  return new URL(`ws://127.0.0.1:${portOf(server)}/link`);
}

async function greeting(address: Parameters<typeof connectToCloud>[0]): Promise<string> {
  const socket = await connectToCloud(address, AbortSignal.timeout(5_000));
  let heard = "";
  for await (const chunk of socket) heard += String(chunk);
  return heard;
}

describe("through an HTTP proxy", () => {
  const credentials = { user: "me", password: "p:w" };
  const authorization = `Basic ${Buffer.from("me:p:w").toString("base64")}`;

  test("without credentials", async () => {
    const url = await greeter();
    const { url: proxyUrl, asked } = await proxy({});
    expect(await greeting({ url, proxy: { url: proxyUrl } })).toBe("hello");
    expect(asked).toEqual([url.host]);
  });

  test("with Basic credentials", async () => {
    const url = await greeter();
    const { url: proxyUrl } = await proxy({ authorization, status: 407, challenge: "Basic" });
    expect(await greeting({ url, proxy: { url: proxyUrl, credentials } })).toBe("hello");
  });

  test.each<[string, { status: number; challenge?: string }, boolean, string]>([
    [
      "credentials that are missing",
      { status: 407, challenge: "Basic realm=x" },
      false,
      "proxy-credentials",
    ],
    [
      "credentials that are wrong",
      { status: 407, challenge: "Basic realm=x" },
      true,
      "proxy-credentials",
    ],
    [
      "Negotiate alone",
      { status: 407, challenge: "Negotiate" },
      true,
      "proxy-authentication-unsupported",
    ],
    ["a refusal", { status: 403 }, false, "proxy-refused"],
  ])("%s", async (_what, answer, hasCredentials, code) => {
    const url = await greeter();
    const { url: proxyUrl } = await proxy({ ...answer, authorization: "none" });
    const settings = { url: proxyUrl, ...(hasCredentials && { credentials }) };
    expect(await rejectedCode(() => greeting({ url, proxy: settings }))).toBe(code);
  });

  test("the error about Negotiate says what to do", async () => {
    const url = await greeter();
    const { url: proxyUrl } = await proxy({
      status: 407,
      challenge: "Negotiate",
      authorization: "x",
    });
    await expect(greeting({ url, proxy: { url: proxyUrl } })).rejects.toThrow(
      /offers Negotiate; only Basic is supported/,
    );
  });

  test("a proxy that is not there", async () => {
    const url = await greeter();
    const proxySettings = { url: "http://127.0.0.1:1" };
    const outcome = rejectedCode(() => greeting({ url, proxy: proxySettings }));
    expect(await outcome).toBe("proxy-unreachable");
  });
});

describe("a control plane's URL", () => {
  test.each([
    ["wss://cloud.example/link", "nothing"],
    ["ws://localhost:8080/link", "nothing"],
    ["ws://127.0.0.1:8080/link", "nothing"],
    ["http://[::1]:8080", "nothing"],
    ["ws://cloud.example/link", "cloud-url-plain"],
    ["http://10.0.0.1", "cloud-url-plain"],
    ["ws://localhost.example/link", "cloud-url-plain"],
    ["ftp://cloud.example", "cloud-url-invalid"],
    ["cloud.example", "cloud-url-invalid"],
  ])("%s: %s", async (text, code) => {
    expect(await rejectedCode(async () => parseCloudUrl(text))).toBe(code);
  });
});

test("nobody there is an error that may pass", async () => {
  const url = new URL("ws://127.0.0.1:1/link");
  await expect(greeting({ url })).rejects.toMatchObject({
    code: "cloud-unreachable",
    isRetryable: true,
  });
});
