import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import {
  connectThrough,
  echo,
  type GatewayUnderTest,
  listOf,
  openPort,
  openTls,
  readUntil,
  startGateway,
  startTarget,
} from "../testing/gateway-under-test.ts";
import {
  deviceUri,
  issueTo,
  makeDeviceAuthority,
  makeServerIdentity,
  writeIdentity,
} from "../testing/test-certificates.ts";

const authority = await makeDeviceAuthority();
const identity = await issueTo(authority, [deviceUri("d1")]);

async function started() {
  const gateway = await startGateway({ authority });
  const target = await startTarget(echo);
  await gateway.configure({ policies: openPort(target.port), devices: listOf("d1", "d2") });
  const to = `127.0.0.1:${target.port}`;
  const { socket } = await connectThrough(gateway, to, { identity });
  return {
    gateway,
    to,
    socket,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

async function isAlive(socket: TLSSocket): Promise<boolean> {
  socket.write("alive\n");
  return (await readUntil(socket, "\n")) === "alive\n";
}

/** Thumbprint of the certificate that a new client is shown. */
async function shown(gateway: GatewayUnderTest, server = gateway.server): Promise<string> {
  const socket = await openTls({ port: gateway.port, server }, { identity });
  const thumbprint = socket.getPeerX509Certificate()?.fingerprint256 ?? "";
  socket.destroy();
  return thumbprint;
}

const healthOf = (gateway: GatewayUnderTest) =>
  gateway.kernel.checks.find((check) => check.name === "tls-certificate")?.run();

test("a renewed certificate is shown to new clients, and open connections go on", async () => {
  await using all = await started();
  const { gateway, socket } = all;
  const renewed = await makeServerIdentity();
  writeIdentity(gateway.folder, "server", renewed);
  const wanted = new X509Certificate(renewed.certificate).fingerprint256;
  await until(async () => (await shown(gateway, renewed).catch(() => "")) === wanted);
  expect(await isAlive(socket)).toBe(true);
});

test("a certificate without its key changes nothing, and health says so until both are there", async () => {
  await using all = await started();
  const { gateway, socket } = all;
  const renewed = await makeServerIdentity();
  const former = new X509Certificate(gateway.server.certificate).fingerprint256;
  writeFileSync(join(gateway.folder, "server.pem"), renewed.certificate);
  await until(async () => (await healthOf(gateway))?.status === "warning");
  expect((await healthOf(gateway))?.reason).toContain("is not the key of the certificate");
  expect(await shown(gateway)).toBe(former);
  expect(await isAlive(socket)).toBe(true);
  writeIdentity(gateway.folder, "server", renewed);
  await until(async () => (await healthOf(gateway))?.status === "healthy");
});

test("a trust anchor that is added serves new clients; one that is removed loses its connections", async () => {
  await using all = await started();
  const { gateway, socket, to } = all;
  const added = await makeDeviceAuthority("Added");
  const newcomer = await issueTo(added, [deviceUri("d2")]);
  await expect(connectThrough(gateway, to, { identity: newcomer })).rejects.toThrow();
  writeFileSync(join(gateway.folder, "anchors.pem"), authority.pem + added.pem);
  const other = await until(() =>
    connectThrough(gateway, to, { identity: newcomer }).catch(() => undefined),
  );
  expect(other.status).toBe(200);
  expect(await isAlive(socket)).toBe(true);
  const reset = once(socket.resume(), "error");
  writeFileSync(join(gateway.folder, "anchors.pem"), added.pem);
  await reset;
  expect(await isAlive(other.socket)).toBe(true);
});
