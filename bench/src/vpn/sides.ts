import { startLabGateway } from "../../../test/vpn-lab/gateway.ts";
import { LAB, type Lab } from "../../../test/vpn-lab/namespaces.ts";
import { startOcserv } from "../../../test/vpn-lab/ocserv.ts";
import { connectOpenconnect, type OpenconnectClient } from "../../../test/vpn-lab/openconnect.ts";
import { DEVICE_ID, SERVER_NAME, type TlsCertificates } from "../fixtures/tls-certificates.ts";
import { remember } from "../process/children.ts";

export type Transport = "tls" | "dtls";

/** A VPN server under measurement, and the way for the client to it. */
export interface Side extends AsyncDisposable {
  readonly name: "gateway" | "ocserv";
  readonly pid: number;
  readonly port: number;
  output(): string;
}

/** The gateway in standalone mode in the gateway's namespace; everything that it checks and records stays on. */
export async function startGatewaySide(
  lab: Lab,
  folder: string,
  certificates: TlsCertificates,
): Promise<Side> {
  const gateway = await startLabGateway(lab, {
    folder,
    ...certificates.server,
    deviceCaFile: certificates.caFile,
    port: 443,
    deviceIds: [DEVICE_ID],
    local: { log: { level: "warn" } },
    // As deploy/tunnel-gateway/Dockerfile has it.
    environment: { NODE_OPTIONS: "--use-largepages=silent" },
    // The same host forwards for ocserv.
    vpn: { nat: { otherTraffic: "leave" } },
  });
  remember(gateway.process);
  const { pid, port, output } = gateway;
  return {
    name: "gateway",
    pid,
    port,
    output,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

/** ocserv beside it. */
export async function startOcservSide(lab: Lab, certificates: TlsCertificates): Promise<Side> {
  const port = 4_443;
  const { certificateFile, keyFile } = certificates.server;
  const clientCaFile = certificates.caFile;
  const files = { certificateFile, keyFile, clientCaFile };
  const ocserv = await startOcserv(lab, { ...files, port, network: "10.97.0.0/16" });
  remember(ocserv.process);
  return {
    name: "ocserv",
    pid: ocserv.process.pid ?? 0,
    port,
    output: ocserv.output,
    [Symbol.asyncDispose]: () => ocserv[Symbol.asyncDispose](),
  };
}

/** Debian's openconnect with the bench's device certificate. */
export async function connectTo(
  lab: Lab,
  side: Side,
  transport: Transport,
  options: {
    readonly folder: string;
    readonly certificates: TlsCertificates;
    /** The client's TUN device, where two are up at once. */
    readonly device?: string;
  },
): Promise<OpenconnectClient> {
  const { device, caFile } = options.certificates;
  const identity = ["-c", device.certificateFile, "-k", device.keyFile];
  const resolve = ["--resolve", `${SERVER_NAME}:${LAB.gateway.ipv4}`];
  const words = [...identity, ...resolve, ...(transport === "tls" ? ["--no-dtls"] : [])];
  const url = `https://${SERVER_NAME}:${side.port}/`;
  const { folder, device: tun = "vpn0" } = options;
  const client = await connectOpenconnect(lab, { folder, url, caFile, words, device: tun });
  remember(client.process);
  return client;
}
