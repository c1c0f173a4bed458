import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { type GatewayUnderTest, startGateway } from "../testing/gateway-under-test.ts";
import { deviceUri, issueTo, makeDeviceAuthority } from "../testing/test-certificates.ts";
import { handshakeReason } from "./relay-metrics.ts";

const other = await issueTo(await makeDeviceAuthority(), [deviceUri("d1")]);

/** Whether by an error or not. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.resume().once("close", () => resolve()));
}

async function sayRaw({ port }: GatewayUnderTest, text: string): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  if (text === "") socket.once("connect", () => socket.destroy());
  else socket.write(text);
  await closed(socket);
}

async function sayTls({ port }: GatewayUnderTest, options: object): Promise<void> {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  socket.on("error", () => {});
  await closed(socket);
}

test("failed handshakes are counted by why", async () => {
  await using gateway = await startGateway();
  await sayRaw(gateway, "GET / HTTP/1.1\r\n\r\n");
  await sayTls(gateway, {});
  await sayTls(gateway, { cert: other.certificate, key: other.key });
  const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
  await sayTls(gateway, old);
  await sayTls(gateway, { ALPNProtocols: ["other"] });
  const counted = { "no-tls": 1, certificate: 2, version: 1, protocol: 1 };
  await until(async () => {
    const text = await gateway.kernel.metrics.metrics();
    return Object.entries(counted).every(([reason, count]) =>
      text.includes(`tunnel_gateway_handshakes_failed_total{reason="${reason}"} ${count}`),
    );
  });
});

test("an address whose handshakes fail again and again is turned away at the door for a while", async () => {
  await using gateway = await startGateway();
  for (let n = 0; n < 20; n += 1) await sayRaw(gateway, "");
  for (let n = 0; n < 20; n += 1) await sayTls(gateway, {});
  // Probes and clients without a certificate are no reason; chains that have to be verified are.
  const hostile = { cert: other.certificate, key: other.key };
  await Promise.all(Array.from({ length: 40 }, () => sayTls(gateway, hostile)));
  const before = await throttled(gateway);
  await sayTls(gateway, hostile);
  expect(await throttled(gateway)).toBe(before + 1);
});

test("an address that many share may be given more failures, and its devices get in", async () => {
  const local = { admission: { failuresPerAddress: 100 } };
  await using gateway = await startGateway({ local });
  const hostile = { cert: other.certificate, key: other.key };
  await Promise.all(Array.from({ length: 40 }, () => sayTls(gateway, hostile)));
  expect(await throttled(gateway)).toBe(0);
});

async function throttled({ kernel }: GatewayUnderTest): Promise<number> {
  const text = await kernel.metrics.metrics();
  return Number(/handshakes_failed_total\{reason="throttled"\} (\d+)/.exec(text)?.[1] ?? 0);
}

test.each([
  ["throttled", undefined, "throttled"],
  ["too-many", undefined, "too-many"],
  ["certificate", "CERT_HAS_EXPIRED", "certificate"],
  ["handshake", "ERR_TLS_HANDSHAKE_TIMEOUT", "timeout"],
  ["handshake", "ECONNRESET", "closed"],
  ["handshake", "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "alert"],
  ["handshake", "ERR_SSL_UNEXPECTED_MESSAGE", "handshake"],
  ["handshake", undefined, "other"],
] as const)("%s with %s is counted as %s", (kind, code, reason) => {
  expect(handshakeReason(kind, code)).toBe(reason);
});
