import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { Socket } from "node:net";

const TIMEOUT_MS = 15_000;
const MAX_BODY_BYTES = 1_048_576;

/** A device's way to the gateway: where it is, whom it believes, and who the device is. */
export interface TunnelDevice {
  readonly gateway: { readonly host: string; readonly port: number };
  /** PEM of the authority of the gateway's certificate. */
  readonly gatewayAuthority: string;
  /** PEM of the device's certificate with what it is signed by, and of its key. */
  readonly certificate: string;
  readonly key: string;
}

/** What the gateway answered to a CONNECT it refused. */
export interface TunnelRefusal {
  readonly kind: "refused";
  readonly status: number;
  /** RFC 9209. */
  readonly proxyStatus: string;
  readonly body: string;
}

export type TunnelAnswer = { readonly kind: "open"; readonly socket: Socket } | TunnelRefusal;

/** Asks for one connection through the relay: HTTP/1.1 CONNECT over TLS with the device's certificate. */
export function openTunnel(device: TunnelDevice, destination: string): Promise<TunnelAnswer> {
  return new Promise((resolve, reject) => {
    const request = requestHttps({
      host: device.gateway.host,
      // Else Node takes the name from the Host header, which is the destination.
      servername: device.gateway.host,
      port: device.gateway.port,
      method: "CONNECT",
      path: destination,
      headers: { host: destination },
      ca: device.gatewayAuthority,
      cert: device.certificate,
      key: device.key,
      agent: false,
    });
    // Not an AbortSignal: it would end the open connection later, too.
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer to CONNECT ${destination} in ${TIMEOUT_MS} ms`)),
      TIMEOUT_MS,
    );
    request.once("close", () => clearTimeout(timer));
    request.once("error", reject);
    request.once("connect", (response, socket: Socket, head: Buffer) => {
      clearTimeout(timer);
      socket.on("error", () => {});
      if (response.statusCode === 200) {
        if (head.length > 0) socket.unshift(head);
        resolve({ kind: "open", socket });
        return;
      }
      const length = Number(response.headers["content-length"] ?? "0");
      readBody(socket, head, length).then(
        (body) =>
          resolve({
            kind: "refused",
            status: response.statusCode ?? 0,
            proxyStatus: String(response.headers["proxy-status"] ?? ""),
            body,
          }),
        reject,
      );
    });
    request.end();
  });
}

/** Fetches a page of an internal site through an open tunnel. */
export function fetchThrough(
  socket: Socket,
  host: string,
  path: string,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const request = requestHttp({
      createConnection: () => socket,
      path,
      headers: { host, connection: "close" },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    request.once("error", reject);
    request.once("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.end();
  });
}

async function readBody(socket: Socket, head: Buffer, length: number): Promise<string> {
  const wanted = Math.min(length, MAX_BODY_BYTES);
  const chunks = [head];
  let size = head.length;
  if (size < wanted) {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= wanted) break;
    }
  }
  socket.destroy();
  return Buffer.concat(chunks).subarray(0, wanted).toString("utf8");
}
