import { readFileSync } from "node:fs";
import { LAB } from "../../../test/vpn-lab/namespaces.ts";
import { SERVER_NAME, type TlsCertificates } from "../fixtures/tls-certificates.ts";
import type { Side } from "./sides.ts";
import type { SessionPapers } from "./tunnel-session.ts";

/** What a client of one side needs, with the bench's device certificate. */
export function papersFor(side: Side, certificates: TlsCertificates): SessionPapers {
  const read = (file: string) => readFileSync(file, "utf8");
  return {
    host: LAB.gateway.ipv4,
    port: side.port,
    serverName: SERVER_NAME,
    ca: read(certificates.caFile),
    certificate: read(certificates.device.certificateFile),
    key: read(certificates.device.keyFile),
  };
}
