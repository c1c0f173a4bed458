import { connect, createServer, type NetConnectOpts, type Server } from "node:net";

/** What connects to this server comes out at the target; either side may end its half first. */
export function doorServer(to: NetConnectOpts): Server {
  return createServer({ allowHalfOpen: true, noDelay: true }, (inner) => {
    const outer = connect({ ...to, allowHalfOpen: true });
    outer.setNoDelay(true);
    inner.pipe(outer);
    outer.pipe(inner);
    inner.on("error", () => outer.destroy());
    outer.on("error", () => inner.destroy());
    inner.on("close", () => outer.destroy());
    outer.on("close", () => inner.destroy());
  });
}
