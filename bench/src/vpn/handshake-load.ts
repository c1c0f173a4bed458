import { once } from "node:events";
import { connect, createSecureContext } from "node:tls";
import { answerWith } from "../process/answering.ts";
import type { SessionPapers } from "./tunnel-session.ts";

/** TLS handshakes and nothing behind them, of one light process in the client's namespace. */
const handlers = {
  /** One connection after the other, each closed by the client once it is up. */
  async handshakes(of: {
    readonly papers: SessionPapers;
    readonly count: number;
    readonly hasCertificate: boolean;
  }): Promise<void> {
    const { host, port, serverName: servername, ca, certificate, key } = of.papers;
    const own = of.hasCertificate ? { cert: certificate, key } : {};
    const secureContext = createSecureContext({ ca, ...own, minVersion: "TLSv1.3" });
    for (let at = 0; at < of.count; at++) {
      const socket = connect({ host, port, servername, secureContext });
      await once(socket, "secureConnect");
      // Until the server has closed its side too: what it does by then belongs to the handshake.
      socket.end();
      socket.resume();
      await once(socket, "close");
    }
  },
};

export type HandshakeLoadProgram = typeof handlers;
answerWith(handlers);
