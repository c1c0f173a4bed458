import type { OnReadOpts, Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connect as connectTls } from "node:tls";
import { ConnectorError } from "../errors.ts";
import type { HttpProxy } from "./http-proxy.ts";
import { connectThroughProxy } from "./http-proxy.ts";

/** How to get to a control plane. */
export interface CloudAddress {
  /** `wss:` or `https:`; plain `ws:` and `http:` on loopback only. */
  readonly url: URL;
  /** PEM of the CAs that its certificate may chain to, instead of the public ones. */
  readonly ca?: string | undefined;
  readonly proxy?: HttpProxy | undefined;
  /** Accepts any certificate: for fetching what is checked by other means, and for nothing else. */
  readonly isUnverified?: boolean;
  /**
   * All that is read of an encrypted connection without a proxy passes through this buffer, and each `data` holds a view of it that the next one
   * overwrites: for those who read so much that a new buffer for each piece is what costs most, and copy what they keep at once, as the
   * HTTP parser does.
   */
  readonly readThrough?: Buffer;
}

const CONNECT_TIMEOUT_MS = 10_000;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * Checks a control plane's URL. Throws `cloud-url-invalid`, and `cloud-url-plain` for an unencrypted one that is not on
 * loopback.
 */
export function parseCloudUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^(wss?|https?):$/.test(url.protocol)) {
    throw new ConnectorError("cloud-url-invalid", `"${text}" is no wss, https, ws or http URL`);
  }
  if (!isEncrypted(url) && !LOOPBACK.test(url.hostname)) {
    throw new ConnectorError(
      "cloud-url-plain",
      `${url.origin} is not encrypted: plain connections are for loopback only`,
    );
  }
  return url;
}

export function isEncrypted(url: URL): boolean {
  return url.protocol === "wss:" || url.protocol === "https:";
}

/** The host name without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}

/**
 * A connected socket to the control plane, through the proxy where there is one, TLS verified. Throws `cloud-unreachable`
 * (retryable), `cloud-certificate` and what `connectThroughProxy` throws.
 */
export async function connectToCloud(address: CloudAddress, signal: AbortSignal): Promise<Socket> {
  // Over with the handshake, unlike AbortSignal.timeout: whoever connects often has not a timer for each.
  const late = new AbortController();
  const words = `not connected within ${CONNECT_TIMEOUT_MS} ms`;
  const timer = setTimeout(() => late.abort(new Error(words)), CONNECT_TIMEOUT_MS);
  try {
    return await connectedTo(address, AbortSignal.any([signal, late.signal]));
  } finally {
    clearTimeout(timer);
  }
}

async function connectedTo(address: CloudAddress, timely: AbortSignal): Promise<Socket> {
  const host = hostOf(address.url);
  const port = Number(address.url.port || (isEncrypted(address.url) ? 443 : 80));
  const { proxy, readThrough } = address;
  if (readThrough !== undefined && proxy === undefined && isEncrypted(address.url)) {
    return await connectedThrough(readThrough, { host, port }, address, timely);
  }
  const socket =
    proxy === undefined
      ? await connected(connectTcp({ host, port, noDelay: true }), "connect", address, timely)
      : await connectThroughProxy(proxy, { host, port }, timely);
  if (!isEncrypted(address.url)) return socket;
  const tls = connectTls({ socket, host, ...tlsOptions(address, host) });
  return await connected(tls, "secureConnect", address, timely);
}

async function connectedThrough(
  buffer: Buffer,
  to: { readonly host: string; readonly port: number },
  address: CloudAddress,
  signal: AbortSignal,
): Promise<Socket> {
  const onread: OnReadOpts = {
    buffer,
    callback: (bytes) => tls.emit("data", buffer.subarray(0, bytes)) || true,
  };
  const options: ConnectionOptions & { readonly onread: OnReadOpts } = {
    ...to,
    ...tlsOptions(address, to.host),
    onread,
  };
  const tls: TLSSocket = connectTls(options);
  await connected(tls, "secureConnect", address, signal);
  return tls.setNoDelay(true);
}

function tlsOptions(address: CloudAddress, host: string): ConnectionOptions {
  const isAddress = /^[\d.]+$|:/.test(host);
  return {
    ALPNProtocols: ["http/1.1"],
    ...(isAddress ? {} : { servername: host }),
    ...(address.ca === undefined ? {} : { ca: address.ca }),
    rejectUnauthorized: !address.isUnverified,
  };
}

async function connected<S extends Socket | TLSSocket>(
  socket: S,
  event: "connect" | "secureConnect",
  address: CloudAddress,
  signal: AbortSignal,
): Promise<S> {
  const outcome = Promise.withResolvers<void>();
  const onAbort = () => outcome.reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  socket.once(event, () => outcome.resolve());
  socket.once("error", outcome.reject);
  socket.once("close", () => outcome.reject(new Error("closed before it was open")));
  try {
    await outcome.promise;
    return socket;
  } catch (cause) {
    socket.on("error", () => {});
    socket.destroy();
    throw failureOf(address, cause);
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.removeListener("error", outcome.reject);
  }
}

/** Codes that OpenSSL and Node give to a certificate that does not verify: nothing mends that but a person. */
const CERTIFICATE_FAULT = /CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME|HOSTNAME_MISMATCH|INVALID_CA/;

function failureOf(address: CloudAddress, cause: unknown): ConnectorError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (CERTIFICATE_FAULT.test(code)) {
    return new ConnectorError(
      "cloud-certificate",
      `the certificate of ${address.url.host} does not verify (${code}): check cloud.caFile and the clock`,
      { isRetryable: true, cause },
    );
  }
  return new ConnectorError(
    "cloud-unreachable",
    `${address.url.host} cannot be reached${code === "" ? "" : ` (${code})`}`,
    { isRetryable: true, cause },
  );
}
