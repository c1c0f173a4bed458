import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import { dtlsHello, tlsHello } from "./hellos.ts";

/**
 * Strangers by the hundred: every second `perSecond` TCP connections that send half a ClientHello and hold, and as many hellos
 * of DTLS. `node handshake-flood-process.ts <gateway> <port> <per second> <seconds>`; prints what it did, JSON.
 */
const [, , host = "", portText = "", perSecondText = "", secondsText = ""] = process.argv;
const port = Number(portText);
const perSecond = Number(perSecondText);
const TICK_MS = 20;
const PROBE = Buffer.alloc(32, 1);

const half = tlsHello().subarray(0, 100);
const udp = createSocket("udp4");
const held = new Set<Socket>();
let [opened, sent, refused] = [0, 0, 0];

function knock(): void {
  const socket = connect({ host, port }, () => {
    opened += 1;
    socket.write(half);
  });
  held.add(socket);
  socket.on("error", () => (refused += 1));
  socket.on("close", () => held.delete(socket));
  PROBE.writeUInt32BE(sent, 0);
  udp.send(dtlsHello(PROBE), port, host);
  sent += 1;
}

const from = performance.now();
const timer = setInterval(() => {
  const elapsed = (performance.now() - from) / 1_000;
  const due = Math.min(elapsed, Number(secondsText)) * perSecond;
  while (sent < due) knock();
  if (elapsed < Number(secondsText)) return;
  clearInterval(timer);
  for (const socket of held) socket.destroy();
  udp.close();
  process.stdout.write(JSON.stringify({ opened, sent, refused }));
}, TICK_MS);
