import { connect, createServer } from "node:net";

/**
 * A door into the namespace that this runs in: what connects to the socket file comes out there as a TCP connection.
 * `node client-door-process.ts <socket file> <host> <port>`.
 */
const [, , file = "", host = "", port = ""] = process.argv;
const server = createServer({ allowHalfOpen: true }, (inner) => {
  const outer = connect({ host, port: Number(port), allowHalfOpen: true });
  outer.setNoDelay(true);
  inner.pipe(outer);
  outer.pipe(inner);
  inner.on("error", () => outer.destroy());
  outer.on("error", () => inner.destroy());
  inner.on("close", () => outer.destroy());
  outer.on("close", () => inner.destroy());
});
server.listen(file, () => process.stdout.write("ready\n"));
