import { until } from "@isthmus/shared/testing/until";
import type { FakeEngine } from "./fake-engine.ts";
import type { PemIdentity } from "./test-certificates.ts";
import { openconnectInit, openconnectTunnel } from "./vpn-requests.ts";
import { derOf } from "./vpn-under-test.ts";

/** Sends a request on a connection of its own; the answer as text, empty where it became a tunnel. */
export async function askEngine(
  engine: FakeEngine,
  identity: PemIdentity,
  bytes: Buffer,
): Promise<string> {
  const connection = engine.connection([derOf(identity)]);
  const { id } = connection;
  engine.handler.opened(connection);
  engine.handler.bytes(id, bytes);
  const isTunnel = () => engine.attached.some(({ connectionId }) => connectionId === id);
  await until(() => engine.written.has(id) || isTunnel());
  return engine.written.get(id) ?? "";
}

/** Logs in with the certificate and connects. */
export async function openTestTunnel(engine: FakeEngine, identity: PemIdentity): Promise<void> {
  const login = await askEngine(engine, identity, openconnectInit());
  const [, cookie] = /Set-Cookie: webvpn=([^;]+)/.exec(login) ?? [];
  if (cookie === undefined) throw new Error(login);
  const refused = await askEngine(engine, identity, openconnectTunnel(cookie));
  if (refused !== "") throw new Error(refused);
}
