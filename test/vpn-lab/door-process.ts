import { connect, createServer, type ListenOptions, type NetConnectOpts } from "node:net";

/**
 * A door between the namespace that this runs in and a socket file, which every namespace sees: what connects to the one side
 * comes out at the other. `node door-process.ts <where it listens> <where it connects to>`, both as JSON, as `node:net` takes them.
 */
const [, , listen = "{}", to = "{}"] = process.argv;
const target: NetConnectOpts = { ...JSON.parse(to), allowHalfOpen: true };
const server = createServer({ allowHalfOpen: true, noDelay: true }, (inner) => {
  const outer = connect(target);
  outer.setNoDelay(true);
  inner.pipe(outer);
  outer.pipe(inner);
  inner.on("error", () => outer.destroy());
  outer.on("error", () => inner.destroy());
  inner.on("close", () => outer.destroy());
  outer.on("close", () => inner.destroy());
});
server.listen(JSON.parse(listen) as ListenOptions, () => process.stdout.write("ready\n"));
