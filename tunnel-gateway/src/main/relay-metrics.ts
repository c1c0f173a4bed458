import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { HandshakeFailure } from "../device/tls-listener.ts";

/** The gateway's metrics; every label is from a closed set. */
export interface RelayMetrics {
  readonly opened: Counter;
  readonly closed: Counter<"end">;
  readonly refused: Counter<"code">;
  readonly cut: Counter<"code">;
  readonly handshakeFailures: Counter<"reason">;
  readonly malformed: Counter<"code">;
  readonly revocationFailures: Counter;
  readonly bytes: Counter<"direction">;
  readonly connectSeconds: Histogram;
}

const CONNECT_BUCKETS_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10];

/** Registers the metrics. `figures` are read when they are asked for. */
export function relayMetrics(
  registry: Registry,
  figures: { readonly open: () => number; readonly pending: () => number },
): RelayMetrics {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name: `tunnel_gateway_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `tunnel_gateway_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge("connections_open", "Relayed connections that are open", figures.open);
  gauge("connections_pending", "Connections without a known device", figures.pending);
  return {
    opened: counter("connections_opened_total", "Relayed connections that were opened"),
    closed: counter("connections_closed_total", "Relayed connections that ended, by how", ["end"]),
    refused: counter("requests_refused_total", "Requests that were refused or failed", ["code"]),
    cut: counter("connections_cut_total", "Open connections that were cut, by why", ["code"]),
    handshakeFailures: counter(
      "handshakes_failed_total",
      "Connections that never became one, by why",
      ["reason"],
    ),
    malformed: counter("requests_malformed_total", "Requests refused for their form", ["code"]),
    revocationFailures: counter("revocation_failures_total", "Failed looks for revocations"),
    bytes: counter("relayed_bytes_total", "Bytes relayed on connections that ended", ["direction"]),
    connectSeconds: new Histogram({
      name: "tunnel_gateway_connect_seconds",
      help: "From a request to its connection",
      buckets: CONNECT_BUCKETS_SECONDS,
      registers,
    }),
  };
}

/** What Node and OpenSSL call a failure, by how the code begins, and what it is called here; the first that fits. */
const REASONS: readonly (readonly [string, string])[] = [
  ["ERR_TLS_HANDSHAKE_TIMEOUT", "timeout"],
  ["ECONNRESET", "closed"],
  ["EPIPE", "closed"],
  ["ERR_SSL_HTTP_REQUEST", "no-tls"],
  ["ERR_SSL_HTTPS_PROXY_REQUEST", "no-tls"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "no-tls"],
  ["ERR_SSL_UNSUPPORTED_PROTOCOL", "version"],
  ["ERR_SSL_VERSION_TOO_LOW", "version"],
  ["ERR_SSL_NO_SHARED_CIPHER", "no-cipher"],
  ["ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM", "no-cipher"],
  ["ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", "certificate"],
  ["ERR_SSL_CERTIFICATE_VERIFY_FAILED", "certificate"],
  ["ERR_SSL_NO_APPLICATION_PROTOCOL", "protocol"],
  ["ERR_SSL_TLSV1_ALERT", "alert"],
  ["ERR_SSL_TLSV13_ALERT", "alert"],
  ["ERR_SSL_SSLV3_ALERT", "alert"],
  ["ERR_SSL_SSL/TLS_ALERT", "alert"],
  ["ERR_SSL_", "handshake"],
];

/** The label of a failure: of a closed set, whatever the code is. */
export function handshakeReason(kind: HandshakeFailure, code: string | undefined): string {
  if (kind !== "handshake") return kind;
  return REASONS.find(([start]) => code?.startsWith(start))?.[1] ?? "other";
}
