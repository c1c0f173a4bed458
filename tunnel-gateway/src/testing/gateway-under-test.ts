import { writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import type { WindowLimit } from "@isthmus/shared/kernel/service-definition";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { z } from "zod";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import { type Guardrails, guardrails } from "../config/guardrails.ts";
import { type LocalConfiguration, localConfiguration } from "../config/local-configuration.ts";
import type { VpnEngine } from "../core/vpn-engine.ts";
import { Gateway } from "../main/gateway.ts";
import type { GatewayKernel } from "../main/gateway-kernel.ts";
import type { GatewayOperations } from "../store/gateway-store.ts";
import {
  type DeviceAuthority,
  makeDeviceAuthority,
  makeServerIdentity,
  type PemIdentity,
  writeIdentity,
} from "./test-certificates.ts";

export type DesiredInput = z.input<typeof desiredConfiguration>;

/** A whole gateway on loopback with a real store and real TLS; the clock and the link are the test's. */
export interface GatewayUnderTest extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly kernel: Awaited<
    ReturnType<typeof makeTestKernel<LocalConfiguration, Guardrails, GatewayOperations>>
  >;
  readonly authority: DeviceAuthority;
  readonly server: PemIdentity;
  readonly folder: string;
  readonly port: number;
  configure(desired: DesiredInput): Promise<void>;
}

export interface GatewayTestOptions {
  readonly authority?: DeviceAuthority;
  /** Merged over the local configuration of the fixture. */
  readonly local?: Readonly<Record<string, unknown>>;
  /** Merged into the one trust anchor, `devices`. */
  readonly anchor?: Readonly<Record<string, unknown>>;
  readonly guardrails?: Guardrails;
  readonly limits?: Readonly<Record<string, WindowLimit>>;
  readonly log?: GatewayKernel["log"];
  /** Carries the packets of a VPN in `local`. */
  readonly engine?: VpnEngine;
  /** Files that have to be there before the gateway starts, by name. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/** Starts a gateway that may connect to 127.0.0.1 and knows `target.test` as that address. */
export async function startGateway(options: GatewayTestOptions = {}): Promise<GatewayUnderTest> {
  const folder = temporaryFolder();
  const authority = options.authority ?? (await makeDeviceAuthority());
  const server = await makeServerIdentity();
  for (const [name, content] of Object.entries(options.files ?? {})) {
    writeFileSync(join(folder.path, name), content);
  }
  writeFileSync(join(folder.path, "anchors.pem"), authority.pem);
  const file = join(folder.path, "gateway.json");
  const written = {
    stateFolder: "state",
    listen: { address: "127.0.0.1", port: 0 },
    tls: writeIdentity(folder.path, "server", server),
    trustAnchors: { devices: { file: "anchors.pem", ...options.anchor } },
    allowedInternal: ["127.0.0.1/32"],
    resolver: { hosts: { "target.test": "127.0.0.1", "metadata.test": "169.254.169.254" } },
    ...options.local,
  };
  writeFileSync(file, JSON.stringify(written));
  const kernel = await makeTestKernel<LocalConfiguration, Guardrails, GatewayOperations>({
    service: "tunnel-gateway",
    storeModule: new URL("../store/gateway-store.ts", import.meta.url),
    local: loadLocalConfiguration({ localConfiguration }, file),
    guardrails: guardrails.parse(options.guardrails ?? {}),
    ...(options.limits ? { limits: options.limits } : {}),
    ...(options.log ? { log: options.log } : {}),
  });
  kernel.clock.set(Date.now());
  const { engine } = options;
  const gateway = engine ? new Gateway(kernel, () => engine) : new Gateway(kernel);
  await gateway.start();
  return {
    gateway,
    kernel,
    authority,
    server,
    folder: folder.path,
    port: Number(new URL(String(kernel.announced["tunnelUrl"])).port),
    async configure(desired) {
      await gateway.applyConfiguration(desiredConfiguration.parse(desired));
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await kernel[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** A policy that opens one port of 127.0.0.1, by address and by name, to everyone. */
export function openPort(port: number): NonNullable<DesiredInput["policies"]> {
  const destinations = [
    { cidr: "127.0.0.1/32", ports: [port] },
    { name: "target.test", ports: [port] },
  ];
  return [
    { name: "test", groups: ["*"], rules: [{ name: "open", action: "allow", destinations }] },
  ];
}

/** Device states for a list, all compliant. */
export function listOf(...deviceIds: string[]): NonNullable<DesiredInput["devices"]> {
  const list = deviceIds.map((deviceId) => ({
    deviceId,
    groups: ["staff"],
    compliance: "compliant" as const,
  }));
  return { source: "list", list };
}

/** What came back on a CONNECT. */
export interface ConnectAnswer {
  readonly status: number;
  readonly head: string;
  /** Of a refusal: the parsed body. */
  readonly body: { readonly code?: string; readonly rule?: string; readonly message?: string };
  readonly socket: TLSSocket;
}

export interface ClientOptions {
  readonly identity?: PemIdentity;
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3";
  readonly alpn?: readonly string[];
  /** A session of an earlier connection to resume. */
  readonly session?: Buffer;
}

/** A TLS connection to the gateway on which nothing has been said. */
export async function openTls(
  to: Pick<GatewayUnderTest, "port" | "server">,
  options: ClientOptions,
): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Node's types lack `allowHalfOpen` here; its documentation has it.
  const wanted: ConnectionOptions & { readonly allowHalfOpen: boolean } = {
    host: "127.0.0.1",
    port: to.port,
    ca: to.server.certificate,
    ...(options.identity ? { cert: options.identity.certificate, key: options.identity.key } : {}),
    minVersion: options.minVersion ?? "TLSv1.2",
    maxVersion: options.maxVersion ?? "TLSv1.3",
    ALPNProtocols: [...(options.alpn ?? ["http/1.1"])],
    allowHalfOpen: true,
    ...(options.session ? { session: options.session } : {}),
  };
  const socket = connectTls(wanted);
  socket.once("secureConnect", resolve);
  socket.once("error", reject);
  await promise;
  socket.off("error", reject);
  socket.on("error", () => {});
  return socket;
}

/** Sends a CONNECT and reads the answer's head, and its body where it is a refusal. */
export async function connectThrough(
  to: Pick<GatewayUnderTest, "port" | "server">,
  target: string,
  options: ClientOptions,
): Promise<ConnectAnswer> {
  const socket = await openTls(to, options);
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  return readAnswer(socket);
}

/** Reads the head of an answer, and its body where it is a refusal. */
export async function readAnswer(socket: TLSSocket): Promise<ConnectAnswer> {
  const head = await readUntil(socket, "\r\n\r\n");
  const status = Number(head.split(" ")[1]);
  if (status === 200) return { status, head, body: {}, socket };
  return { status, head, body: JSON.parse(await readUntil(socket, "\n")), socket };
}

/** Reads up to and with `end`; what came behind it stays to be read. */
export async function readUntil(socket: Socket, end: string): Promise<string> {
  for (let text = ""; ; ) {
    text += socket.read()?.toString("latin1") ?? "";
    const at = text.indexOf(end);
    if (at >= 0) {
      const rest = Buffer.from(text.slice(at + end.length), "latin1");
      if (rest.length > 0) socket.unshift(rest);
      return text.slice(0, at + end.length);
    }
    if (socket.readableEnded || socket.destroyed) throw new Error(`ended after "${text}"`);
    await new Promise<void>((resolve) => {
      for (const event of ["readable", "end", "close"]) socket.once(event, () => resolve());
    });
  }
}

/** A TCP server on loopback whose connections the test handles. */
export async function startTarget(
  onConnection: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly port: number; readonly server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  return {
    server,
    port: typeof address === "object" && address ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** A target that sends back what it gets, and ends when it is ended. */
export function echo(socket: Socket): void {
  socket.pipe(socket);
}
