import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type TLSSocket } from "node:tls";
import { expect } from "vitest";
import type { ClientDoor } from "./doors.ts";
import { LAB } from "./namespaces.ts";
import type { OpenconnectClient } from "./openconnect.ts";
import type { DevicePapers } from "./papers.ts";
import { type Scene, until } from "./scene.ts";

/** The product's bound: from the change to the end of what it forbids. */
export const CUT_MS = 2_000;

/** A connection of the device's through the relay, on which nothing moves. */
export async function openRelay(
  door: ClientDoor,
  place: Scene,
  { pem }: DevicePapers,
): Promise<TLSSocket> {
  const { certificate: cert, key } = pem;
  const ca = readFileSync(place.papers.serverCaFile);
  const socket = connect({ path: door.path, servername: "localhost", ca, cert, key });
  socket.on("error", () => socket.destroy());
  const target = `${LAB.internal.ipv4}:8000`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString("latin1")).toMatch(/^HTTP\/1\.1 200 /);
  return socket;
}

/** How long after `act` is through the VPN (by what its client prints) and the relay of a device are gone; before that is 0. */
export async function cutAfter(
  client: OpenconnectClient,
  relay: TLSSocket,
  act: () => void | Promise<void>,
): Promise<{ readonly vpnMs: number; readonly relayMs: number }> {
  const goneAt = { vpn: Number.NaN, relay: Number.NaN };
  relay.once("close", () => (goneAt.relay = performance.now()));
  const look = () => {
    if (/server (disconnect|terminate)/i.test(client.output())) goneAt.vpn = performance.now();
    else timer = setTimeout(look, 5);
  };
  let timer = setTimeout(look, 5);
  try {
    await act();
    const from = performance.now();
    const isOver = () => !Number.isNaN(goneAt.vpn + goneAt.relay);
    await until("both are gone", isOver, () => `${JSON.stringify(goneAt)}\n${client.output()}`);
    return { vpnMs: Math.max(0, goneAt.vpn - from), relayMs: Math.max(0, goneAt.relay - from) };
  } finally {
    clearTimeout(timer);
  }
}
