import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { expect } from "vitest";
import {
  type DesiredInput,
  echo,
  type GatewayTestOptions,
  type GatewayUnderTest,
  listOf,
  openPort,
  openTls,
  startGateway,
  startTarget,
} from "./gateway-under-test.ts";
import { deviceUri, issueTo, makeDeviceAuthority } from "./test-certificates.ts";

const authority = await makeDeviceAuthority();
const identity = await issueTo(authority, [deviceUri("d1")]);
const stranger = await issueTo(authority, [deviceUri("d9")]);

export interface Http2UnderTest extends AsyncDisposable {
  readonly gateway: GatewayUnderTest;
  readonly target: { readonly port: number };
  /** A value of the gateway's metrics, by name and label as they are written. */
  metric(name: string): Promise<number>;
  /** Another TLS connection on which HTTP/2 was agreed and nothing said. */
  tls(as?: "device" | "stranger"): Promise<TLSSocket>;
}

/** A gateway that opens the target to device d1, and the target. */
export async function startHttp2(
  options: {
    readonly desired?: Partial<DesiredInput>;
    readonly gateway?: GatewayTestOptions;
    readonly onTarget?: (socket: Socket) => void;
  } = {},
): Promise<Http2UnderTest> {
  const gateway = await startGateway({ authority, ...options.gateway });
  const target = await startTarget(options.onTarget ?? echo);
  const policies = openPort(target.port);
  await gateway.configure({ policies, devices: listOf("d1"), ...options.desired });
  return {
    gateway,
    target,
    async metric(name) {
      const lines = (await gateway.kernel.metrics.metrics()).split("\n");
      const line = lines.find((text) => text.startsWith(`tunnel_gateway_${name} `));
      return Number(line?.split(" ").at(-1) ?? 0);
    },
    async tls(as = "device") {
      const alpn = ["h2", "http/1.1"];
      const socket = await openTls(gateway, {
        identity: as === "device" ? identity : stranger,
        alpn,
      });
      expect(socket.alpnProtocol).toBe("h2");
      socket.allowHalfOpen = false;
      return socket;
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

/** The same with a device's HTTP/2 connection to it. */
export async function openHttp2(
  ...options: Parameters<typeof startHttp2>
): Promise<Http2UnderTest & { readonly session: ClientHttp2Session }> {
  const under = await startHttp2(...options);
  const session = speakHttp2(await under.tls());
  return {
    ...under,
    session,
    async [Symbol.asyncDispose]() {
      session.destroy();
      await under[Symbol.asyncDispose]();
    },
  };
}

export function speakHttp2(socket: TLSSocket): ClientHttp2Session {
  const session = connect("https://gateway", { createConnection: () => socket });
  session.on("error", () => {});
  return session;
}

export const connectTo = (port: number): OutgoingHttpHeaders => ({
  ":method": "CONNECT",
  ":authority": `127.0.0.1:${port}`,
});

export async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
): Promise<{ readonly status: number; readonly stream: ClientHttp2Stream }> {
  const stream = session.request(headers);
  stream.on("error", () => {});
  const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
  return { status: Number(answer[":status"]), stream };
}
