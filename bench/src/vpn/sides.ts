import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { endChild, type Lab, LAB } from "../../../test/vpn-lab/namespaces.ts";
import { connectOpenconnect, type OpenconnectClient } from "../../../test/vpn-lab/openconnect.ts";
import { startOcserv } from "../../../test/vpn-lab/ocserv.ts";
import { DEVICE_ID, SERVER_NAME, type TlsCertificates } from "../fixtures/tls-certificates.ts";
import { remember } from "../process/children.ts";
import { entryOf, prepareService } from "../process/service.ts";
import { standaloneConfiguration } from "../process/standalone.ts";

export type Transport = "tls" | "dtls";

/** A VPN server under measurement, and the way for the client to it. */
export interface Side extends AsyncDisposable {
  readonly name: "gateway" | "ocserv";
  readonly pid: number;
  readonly port: number;
  output(): string;
}

const START_TIMEOUT_MS = 20_000;
const LOOK_EVERY_MS = 50;

/** The gateway in standalone mode in the gateway's namespace; everything that it checks and records stays on. */
export async function startGatewaySide(
  lab: Lab,
  folder: string,
  certificates: TlsCertificates,
): Promise<Side> {
  mkdirSync(folder, { recursive: true });
  const port = 443;
  const { configurationFile } = prepareService({
    name: "tunnel-gateway",
    folder,
    configuration: gatewayConfiguration(folder, certificates, port),
  });
  const entry = [process.execPath, entryOf("tunnel-gateway")];
  const config = ["--config", configurationFile];
  await lab.run("gateway", [...entry, "host-setup", ...config, "--user", "root"]);
  return serve(lab, "gateway", port, [...entry, "run", ...config]);
}

/** ocserv beside it. */
export async function startOcservSide(
  lab: Lab,
  folder: string,
  certificates: TlsCertificates,
): Promise<Side> {
  const port = 4_443;
  const { certificateFile, keyFile } = certificates.server;
  const clientCaFile = certificates.caFile;
  const files = { folder, certificateFile, keyFile, clientCaFile };
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
export function connectTo(
  lab: Lab,
  side: Side,
  transport: Transport,
  options: { readonly folder: string; readonly certificates: TlsCertificates },
): Promise<OpenconnectClient> {
  const { device, caFile } = options.certificates;
  const identity = ["-c", device.certificateFile, "-k", device.keyFile];
  const resolve = ["--resolve", `${SERVER_NAME}:${LAB.gateway.ipv4}`];
  const words = [...identity, ...resolve, ...(transport === "tls" ? ["--no-dtls"] : [])];
  const url = `https://${SERVER_NAME}:${side.port}/`;
  return connectOpenconnect(lab, { folder: options.folder, url, caFile, words });
}

async function serve(
  lab: Lab,
  name: "gateway",
  port: number,
  words: readonly string[],
): Promise<Side> {
  const child = lab.start("gateway", words);
  remember(child);
  let output = "";
  child.stdout?.on(
    "data",
    (chunk: Buffer) => (output = (output + chunk.toString()).slice(-20_000)),
  );
  child.stderr?.on(
    "data",
    (chunk: Buffer) => (output = (output + chunk.toString()).slice(-20_000)),
  );
  const from = performance.now();
  for (;;) {
    const sockets = await lab.run("gateway", ["ss", "-Hltn", `sport = :${port}`]);
    if (sockets.trim() !== "") break;
    if (child.exitCode !== null || performance.now() - from > START_TIMEOUT_MS) {
      await endChild(child);
      throw new Error(`the ${name} does not listen:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  const pid = child.pid ?? 0;
  return { name, pid, port, output: () => output, [Symbol.asyncDispose]: () => endChild(child) };
}

function gatewayConfiguration(folder: string, certificates: TlsCertificates, port: number) {
  const destinations = [
    { cidr: LAB.internal.network, ports: ["1-65535"] },
    { cidr: LAB.internal.ipv6Network, ports: ["1-65535"] },
  ];
  const group = {
    name: "bench",
    authentication: [["certificate"]],
    routesInclude: [LAB.internal.network, LAB.internal.ipv6Network],
    sessionsPerUser: 10_000,
  };
  const desired = {
    policies: [
      { name: "bench", groups: ["*"], rules: [{ name: "inside", action: "allow", destinations }] },
    ],
    devices: {
      source: "list",
      list: [{ deviceId: DEVICE_ID, groups: [], compliance: "compliant" }],
    },
    vpn: { groups: [group] },
  };
  const guardrails = { commands: { allow: ["health.report"] } };
  return {
    ...standaloneConfiguration(join(folder), { desired, guardrails }),
    listen: { address: "0.0.0.0", port },
    tls: certificates.server,
    trustAnchors: { bench: { file: certificates.caFile, mayAssert: ["deviceId"] } },
    vpn: { network: "10.98.0.0/16", ipv6Network: "fd98::/112", tunnels: { count: 2 } },
  };
}
